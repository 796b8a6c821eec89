// The tour a newcomer takes: `cdi up` as a process of its own, driven by the real kubectl (and by Debian's, where it is there).
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout, removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(24 * mib, 60, 3);
let up: CdiUp;
let server: HttpTestServer;

beforeAll(async () => {
  server = await startHttpServer({ files: { "/disk.img": image } }, "keep");
  up = await startCdiUp({ dir: await temporaryDir() });
}, 60_000);
afterAll(async () => {
  await up.stop();
  await server.close();
  await removeDir(up.dir);
});

const manifest = (name: string, url: string, mode = "Filesystem"): string => `
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata:
  name: ${name}
spec:
  source:
    http:
      url: "${url}"
  storage:
    volumeMode: ${mode}
    resources:
      requests:
        storage: 64Mi
`;

/** What is left on the machine of anything below the data folder. */
async function leftovers(dir: string): Promise<string[]> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").filter((line) => line.includes(dir));
  const loops = (await runText("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"]).catch(() => ""))
    .split("\n")
    .filter((line) => line.includes(dir));
  const processes = (await runText("ps", ["-eo", "pid,args"]))
    .split("\n")
    .filter((line) => line.includes("dist/importer.js"));
  const volumes = await readdir(join(dir, "volumes"));
  const pods = await readdir(join(dir, "pods")).then((names) => names.filter((name) => /importer/.test(name)));
  return [...mounts, ...loops, ...processes, ...volumes, ...pods];
}

describe("kubectl on PATH", () => {
  test("apply, watch, get, describe, logs, events, wait, label, patch, delete", async () => {
    server.faults = { bytesPerSecond: 12 * mib };
    const watched = up
      .kubectl("get", "dv", "-w", "--request-timeout=20s")
      .catch((cause: { output: string }) => cause.output);
    await up.kubectlWith(manifest("tour", server.url("/disk.img")), "apply", "-f", "-");
    await expect
      .poll(() => up.kubectl("get", "pods", "-o", "name"), { timeout: 15_000, interval: 50 })
      .toContain("importer-tour");
    await expect
      .poll(() => up.kubectl("logs", "importer-tour").catch(() => ""), { timeout: 15_000 })
      .toContain("Importing");
    await up.kubectl("wait", "--for=condition=Ready", "dv/tour", "--timeout=30s");
    const table = (await up.kubectl("get", "dv")).split("\n").map((line) => line.trim().split(/\s+/));
    expect(table[0]).toEqual(["NAME", "PHASE", "PROGRESS", "RESTARTS", "AGE"]);
    expect(table[1]?.slice(0, 3)).toEqual(["tour", "Succeeded", "100.0%"]);
    const described = await up.kubectl("describe", "dv", "tour");
    expect(described).toMatch(/Phase:\s+Succeeded/);
    expect(described).toContain("Successfully imported into PVC tour");
    // A verb of its own from 1.26 on.
    const verbs = await up.kubectl("--help");
    if (/^ {2}events /m.test(verbs))
      expect(await up.kubectl("events", "--for", "datavolume/tour")).toContain("ImportInProgress");
    expect(await up.kubectl("get", "events")).toContain("Import into tour in progress");
    expect(await up.kubectl("get", "pvc", "tour", "-o", "jsonpath={.status.phase}")).toBe("Bound");
    await up.kubectl("label", "dv", "tour", "colour=blue");
    expect(await up.kubectl("get", "dv", "-l", "colour=blue", "-o", "name")).toBe("datavolume.cdi.kubevirt.io/tour\n");
    await up.kubectl("patch", "dv", "tour", "--type=merge", "-p", '{"metadata":{"annotations":{"note":"seen"}}}');
    expect(await up.kubectl("get", "dv", "tour", "-o", "jsonpath={.metadata.annotations.note}")).toBe("seen");
    await up.kubectl("delete", "dv", "tour", "--wait=true", "--timeout=20s");
    await expect.poll(() => up.kubectl("get", "pvc,pv,pods", "-A", "-o", "name"), { timeout: 10_000 }).toBe("");
    await expect.poll(() => leftovers(up.dir), { timeout: 10_000 }).toEqual([]);
    const seen = await watched;
    for (const phase of ["ImportScheduled", "ImportInProgress", "Succeeded"]) expect(seen).toContain(phase);
  });

  test("a DataVolume deleted in the middle leaves nothing", async () => {
    server.faults = { bytesPerSecond: mib };
    await up.kubectlWith(manifest("halfway", server.url("/disk.img"), "Block"), "apply", "-f", "-");
    await up.untilPhase("halfway", "ImportInProgress");
    await up.kubectl("delete", "dv", "halfway", "--timeout=20s");
    await expect.poll(() => up.kubectl("get", "pvc,pv,pods", "-A", "-o", "name"), { timeout: 40_000 }).toBe("");
    await expect.poll(() => leftovers(up.dir), { timeout: 10_000 }).toEqual([]);
    server.faults = {};
  });

  test("manifests in circulation are accepted unchanged", async () => {
    const folder = join(checkout, "fixtures", "manifests");
    for (const file of (await readdir(folder)).toSorted()) {
      const said = await up.kubectl("apply", "-f", join(folder, file));
      expect(said, file).toMatch(/(created|configured|unchanged)\n$/);
      // Their sources lie outside: what was applied is taken back, but the cluster's own CDIConfig.
      if (file !== "example-cdiconfig.yaml") await up.kubectl("delete", "-f", join(folder, file), "--timeout=30s");
    }
  });

  test("a wrong DataVolume is refused with the reason", async () => {
    const wrong = manifest("wrong", "ftp://example.com/disk.img");
    await expect(up.kubectlWith(wrong, "apply", "-f", "-")).rejects.toThrow(
      "spec.source Invalid source URL scheme: ftp://example.com/disk.img",
    );
  });
});

describe("Debian's kubectl", () => {
  const binary = join(checkout, ".cache", "kubernetes-client", "usr/bin/kubectl");
  test("applies, gets, waits and deletes", async (context) => {
    const version = await runText(binary, ["version", "--client", "--short"]).catch(() => undefined);
    if (version === undefined) return context.skip("kubernetes-client is not unpacked here");
    const env = { ...process.env, KUBECONFIG: up.kubeconfig, HOME: up.dir };
    const kubectl = (args: string[], input?: string): Promise<string> =>
      runText(binary, args, { env, ...(input === undefined ? {} : { input }) });
    server.faults = {};
    expect(await kubectl(["apply", "-f", "-"], manifest("older", server.url("/disk.img")))).toContain("created");
    await kubectl(["wait", "--for=condition=Ready", "dv/older", "--timeout=30s"]);
    expect(await kubectl(["get", "dv", "older"])).toMatch(/PHASE[^]*Succeeded/);
    expect(await kubectl(["describe", "dv", "older"])).toContain("Successfully imported into PVC older");
    await kubectl(["delete", "dv", "older"]);
    await expect.poll(() => kubectl(["get", "pvc", "-o", "name"]), { timeout: 10_000 }).toBe("");
  });
});
