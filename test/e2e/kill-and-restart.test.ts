// `kill -9` of `cdi up` in the middle of an import: nothing is orphaned, objects are intact, and the next start finishes the job.
import { afterEach, expect, test } from "vitest";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { startHttpServer } from "../support/http-server.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(24 * mib, 60, 5);
const running: CdiUp[] = [];
afterEach(async () => {
  for (const up of running.splice(0)) {
    await up.stop();
    await removeDir(up.dir);
  }
});

interface Process {
  readonly pid: string;
  readonly parent: string;
  readonly argv: string;
}
/** All importers of the machine: others may run tests too. */
async function importers(): Promise<Process[]> {
  const lines = (await runText("ps", ["-eo", "pid=,ppid=,args="])).split("\n");
  return lines.flatMap((line) => {
    const [, pid = "", parent = "", argv = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return argv.includes("dist/importer.js") ? [{ pid, parent, argv }] : [];
  });
}
/** Those below this process, wrappers too. */
async function importersBelow(pid: number): Promise<string[]> {
  const all = await importers();
  const below = new Set([String(pid)]);
  for (let size = 0; size < below.size;) {
    size = below.size;
    for (const one of all) if (below.has(one.parent)) below.add(one.pid);
  }
  return [...below].slice(1);
}

const manifest = (name: string, url: string, mode: string): string => `
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: { name: ${name}, labels: { kept: "yes" } }
spec:
  source: { http: { url: "${url}" } }
  pvc: { accessModes: [ReadWriteOnce], volumeMode: ${mode}, resources: { requests: { storage: 64Mi } } }
`;

test.each(["Filesystem", "Block"])("the import into a %s volume is finished by the next start", async (mode) => {
  const server = await startHttpServer({ files: { "/disk.img": image }, faults: { bytesPerSecond: 4 * mib } });
  const dir = await temporaryDir();
  const first = await startCdiUp({ dir });
  await first.kubectlWith(manifest("survivor", server.url("/disk.img"), mode), "apply", "-f", "-");
  await first.untilPhase("survivor", "ImportInProgress");
  await expect.poll(() => server.requests.some((request) => request.bodyBytes > mib), { timeout: 10_000 }).toBe(true);
  const uid = await first.kubectl("get", "dv", "survivor", "-o", "jsonpath={.metadata.uid}");
  const started = await importersBelow(first.pid);
  expect(started.length).toBeGreaterThan(0);
  await first.kill();
  const left = async (): Promise<Process[]> => (await importers()).filter(({ pid }) => started.includes(pid));
  await expect.poll(left, { timeout: 5_000 }).toEqual([]);
  server.faults = {};
  const second = await startCdiUp({ dir });
  running.push(second);
  await second.kubectl("wait", "--for=condition=Ready", "dv/survivor", "--timeout=60s");
  expect(await second.kubectl("get", "dv", "survivor", "-o", "jsonpath={.metadata.uid}/{.metadata.labels.kept}")).toBe(
    `${uid}/yes`,
  );
  const path = await second.kubectl("get", "pv", "-o", "jsonpath={.items[0].spec.local.path}");
  const disk = mode === "Block" ? await readFile(path) : await diskInFileSystem(path, dir);
  expect(disk.subarray(0, image.length).equals(image)).toBe(true);
  await second.kubectl("delete", "dv", "survivor", "--timeout=20s");
  await expect.poll(() => readdir(join(dir, "volumes")), { timeout: 10_000 }).toEqual([]);
});

async function diskInFileSystem(path: string, dir: string): Promise<Buffer> {
  // An ordinary user's volume is a folder.
  if ((await stat(path)).isDirectory()) return await readFile(join(path, "disk.img"));
  const out = join(dir, "dumped.img");
  await runText("debugfs", ["-R", `dump /disk.img ${out}`, path]);
  return await readFile(out);
}
