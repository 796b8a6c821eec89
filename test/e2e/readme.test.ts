// What the README and examples/ tell a newcomer to do, done: every command of the tour and of the data path, and every
// example applied until it is Ready.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout, removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { buildIndex, diskImage } from "../support/container-disk.ts";
import { noRegistry, startRegistry, type Registry } from "../support/registry.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { runText } from "../support/run-text.ts";
import { gnuTar } from "../support/tars.ts";
import { wrap } from "../support/images.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const image = makeSparseImage(8 * 1024 * 1024, 30, 31);
let dir = "";
let up: CdiUp;
let server: HttpTestServer;
let tlsServer: HttpTestServer;
let registry: Registry | undefined;
/** The same store, asking for nothing. */
let openRegistry: Registry | undefined;
const release: (() => Promise<void>)[] = [];
let files: Record<string, Buffer>;

beforeAll(async () => {
  dir = await temporaryDir();
  await writeFile(join(dir, "disk.img"), image);
  await runText("qemu-img", ["convert", "-O", "qcow2", join(dir, "disk.img"), join(dir, "image.qcow2")]);
  await runText("xz", ["-1", "-k", join(dir, "disk.img")]);
  await runText("zstd", ["-q", "-k", join(dir, "image.qcow2")]);
  const read = (name: string): Promise<Buffer> => readFile(join(dir, name));
  const qcow2 = await read("image.qcow2");
  files = { "/disk.qcow2": qcow2, "/image.qcow2": qcow2, "/disk.img.xz": await read("disk.img.xz") };
  files["/files.tar.gz"] = await wrap(gnuTar(dir, ["disk.img"]), "gz");
  server = await startHttpServer({ files }, "keep");
  tlsServer = await startHttpServer({ files, tls: true, auth: { user: "admin", password: "password" } }, "keep");
  if (noRegistry === undefined) {
    const atEnd = (act: () => Promise<void>): number => release.push(act);
    const open = await startRegistry({}, atEnd);
    openRegistry = open;
    const images = ["amd64", "arm64"].map((architecture) => diskImage(qcow2, { architecture }, "disk/disk.qcow2"));
    await open.push("vm/disk", "1", buildIndex(await Promise.all(images)));
    registry = await startRegistry(
      { store: open.store, tls: true, basic: { user: "admin", password: "password" } },
      atEnd,
    );
  }
  up = await startCdiUp({ dir, args: [server.url("/image.qcow2")] });
}, 120_000);
afterAll(async () => {
  await up.stop();
  await server.close();
  await tlsServer.close();
  for (const act of release.reverse()) await act();
  await removeDir(dir);
});

/** Lines of the README's shell blocks that begin so, comments taken off. */
async function commandsOf(start: string): Promise<string[]> {
  const readme = await readFile(join(checkout, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```sh\n([^]*?)```/g)].map((match) => match[1] ?? "");
  return blocks
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line.startsWith(start));
}

test("the tour with kubectl", async () => {
  const commands = await commandsOf("kubectl ");
  expect(commands.length).toBeGreaterThan(5);
  await expect.poll(() => up.printed(), { timeout: 40_000 }).toContain("Both disks are there");
  for (const command of commands) {
    const words = command.split(/\s+/).slice(1);
    // Its pod is gone once the import is done: the README says so.
    const mayFail = words[0] === "logs";
    const said = await runText(process.env.CDI_KUBECTL || "kubectl", words, {
      cwd: checkout,
      env: { ...process.env, KUBECONFIG: up.kubeconfig, HOME: dir },
    }).catch((cause: Error) => (mayFail ? cause.message : Promise.reject(cause)));
    expect(said, command).not.toBe("");
  }
});

test("a disk image of one's own", async () => {
  const commands = await commandsOf("npm run -s cdi -- upload ");
  expect(commands).toHaveLength(1);
  for (const command of commands) {
    const words = command
      .replace(/(?<= )disk\.qcow2/, join(dir, "image.qcow2"))
      .split(" ")
      .slice(1);
    await runText("npm", words, { cwd: checkout, env: { ...process.env, KUBECONFIG: up.kubeconfig, HOME: dir } });
    const name = / dv\/(\S+)/.exec(command)?.[1] ?? "";
    await up.kubectl("wait", "--for=condition=Ready", `dv/${name}`, "--timeout=5s");
  }
});

test("the data path alone", async () => {
  const commands = (await commandsOf("npm run -s cdi -- ")).filter((command) => !command.includes(" upload "));
  expect(commands).toHaveLength(4);
  const sha256 = createHash("sha256")
    .update(await readFile(join(dir, "image.qcow2.zst")))
    .digest("hex");
  for (const [index, command] of commands.entries()) {
    const target = join(dir, `readme-${index}.img`);
    const words = command
      .replace(/https:\/\/example\.org/, server.url(""))
      .replace(/\bsha256:\.\.\./, `sha256:${sha256}`)
      .replace(/\/dev\/vg\/disk|(?<= )disk\.img(?= |$)/, target)
      .replace(/(?<= )image\.qcow2\.zst/, join(dir, "image.qcow2.zst"))
      .replace(/\/var\/tmp/, dir)
      .split(" ")
      .slice(1);
    await runText("npm", words, { cwd: checkout });
    if (words.includes("import")) expect((await readFile(target)).equals(image), command).toBe(true);
  }
});

describe("examples", async () => {
  const names = (await readdir(join(checkout, "examples"))).filter((name) => name.endsWith(".yaml")).toSorted();
  test.for(names)("%s", async (name, { skip }) => {
    const isRegistry = name === "registry.yaml";
    const byNode = name === "registry-node.yaml";
    if ((isRegistry || byNode) && registry === undefined) return skip(noRegistry);
    if (byNode && process.getuid?.() !== 0) return skip("an ordinary user's node does not run images of others");
    const host = (byNode ? openRegistry : registry)?.host ?? "";
    const sha256 = createHash("sha256")
      .update(files["/disk.qcow2"] ?? "")
      .digest("hex");
    const ca = ((isRegistry && registry?.ca) || tlsServer.ca).trim().split("\n").slice(1, -1).join("\n    ");
    const text = (await readFile(join(checkout, "examples", name), "utf8"))
      .replaceAll("docker://REGISTRY", `docker://${host}`)
      .replaceAll("http://SERVER", server.url(""))
      .replaceAll("https://SERVER", tlsServer.url(""))
      .replace(/sha256:[0-9a-f]{64}/, `sha256:${sha256}`)
      .replace(/^( {4})CERTIFICATE$/m, `    ${ca}`);
    await up.kubectlWith(text, "apply", "-f", "-");
    const dataVolume = /kind: DataVolume\nmetadata:\n {2}name: (\S+)/.exec(text)?.[1] ?? "";
    if (/^ {4}upload: /m.test(text)) await up.untilPhase(dataVolume, "UploadReady");
    else await up.kubectl("wait", "--for=condition=Ready", `dv/${dataVolume}`, "--timeout=40s");
    await up.kubectlWith(text, "delete", "-f", "-", "--timeout=20s");
  });
});
