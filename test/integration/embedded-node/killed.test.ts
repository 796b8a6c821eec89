// kill -9 of the node: its children die with it, and no mount or loop device stays. As root and as an ordinary user.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cleanLeftovers } from "../../../src/embedded/pods/leftovers.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { ensureBuilt } from "../importer/world.ts";
import { toolsImage } from "../../support/tools-image.ts";
import { noRegistry, startRegistry } from "../../support/registry.ts";
import { noOrdinaryUser, ordinaryUser } from "../../support/ordinary-user.ts";
import { filesUnder, isRoot, tracesOf } from "./node.ts";

const rows = [
  { as: "root", road: "device", uid: 0 },
  { as: "root", road: "folder", uid: 0 },
  { as: "an ordinary user", road: "folder", uid: ordinaryUser },
].filter(({ uid }) => isRoot || uid === ordinaryUser);

async function startLone(
  dir: string,
  road: string,
  uid: number,
  script: string,
  inImage: readonly string[] = [],
): Promise<ChildProcess> {
  const program = join(import.meta.dirname, "lone-node.ts");
  const drop = isRoot && uid !== 0 ? ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"] : [];
  const [command = "", ...args] = [...drop, process.execPath, program, dir, road, script, ...inImage];
  const env = { ...process.env, TMPDIR: dir }; // its server dies with it and leaves its folder there
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let words = "";
  child.stderr?.on("data", (chunk: Buffer) => (words += chunk.toString("utf8")));
  const ended = once(child, "exit").then(() => Promise.reject(new Error(`the node ended: ${words}`)));
  ended.catch(() => undefined); // it is killed later
  await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), ended]);
  return child;
}

test.for(rows)("as $as on the $road road nothing lives on", async ({ road, uid }, context) => {
  if (uid !== 0 && noOrdinaryUser) context.skip(noOrdinaryUser);
  const dir = await realpath(await mkdtemp(join(tmpdir(), "cdi-killed-")));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  if (isRoot && uid !== 0) await chown(dir, uid, uid);
  // The grandchild is in the group but has no parent-death signal of its own.
  const marker = `9${process.pid}`;
  const child = await startLone(dir, road, uid, `sleep ${marker} & sleep ${marker}; wait`);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  const known = new Set<string>();
  // In a pid namespace all die at once; elsewhere what the container started is ended at the node's next start.
  if (road === "device") await expect.poll(() => sleepersOf(marker), { timeout: 5000 }).toBe(0);
  await cleanLeftovers(join(dir, "pods"), known, silentLog);
  await expect.poll(() => sleepersOf(marker), { timeout: 5000 }).toBe(0);
  await expect.poll(() => tracesOf(dir), { timeout: 5000 }).toEqual([]);
  expect(await filesUnder(join(dir, "pods"))).toEqual([]);
});

test.skipIf(!isRoot || noRegistry !== undefined)("in an image of a registry nothing lives on", async () => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "cdi-killed-")));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  ensureBuilt();
  const registry = await startRegistry();
  const { image, run } = await toolsImage(["sh", "sleep"]);
  await registry.push("vm/tools", "1", image);
  const marker = `8${process.pid}`;
  const script = `${run("sleep")} ${marker} & ${run("sleep")} ${marker}; wait`;
  const puller = join(import.meta.dirname, "../../../dist/imagepull.js");
  const shell = `${run("sh")} -c`.split(" ");
  const inImage = [`${registry.host}/vm/tools:1`, puller, ...shell];
  const child = await startLone(dir, "device", 0, script, inImage);
  await expect.poll(() => sleepersOf(marker), { timeout: 5000 }).toBe(2);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  await expect.poll(() => sleepersOf(marker), { timeout: 5000 }).toBe(0);
  await cleanLeftovers(join(dir, "pods"), new Set(), silentLog);
  await expect.poll(() => tracesOf(dir), { timeout: 5000 }).toEqual([]);
});

async function sleepersOf(marker: string): Promise<number> {
  const { readdir } = await import("node:fs/promises");
  let count = 0;
  for (const pid of await readdir("/proc")) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (new RegExp(`(^|/)sleep\0${marker}\0$`).test(line)) count += 1;
  }
  return count;
}
