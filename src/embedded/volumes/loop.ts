// Loop devices that cannot outlive us. A device is marked "autoclear" while we hold it open: when the last of us and the
// mounts in pods' namespaces is gone, by whatever death, the kernel detaches it.
import { open, readFile, readdir } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runTool } from "../run-tool.ts";

export interface LoopDevice {
  /** "/dev/loop3" */
  path: string;
  major: number;
  minor: number;
  /** Takes up the size its file has come to have. */
  grow(): Promise<void>;
  /** Lets go and waits until the kernel has detached it. @throws Error when something else still holds it */
  release(): Promise<void>;
}

const goneLimitMs = 5000;

/** @returns devices whose backing file is `file`; the kernel appends " (deleted)" to a removed file's name */
export async function loopsOf(isOurs: (backingFile: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    const text = await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => undefined); // not attached
    if (text !== undefined && isOurs(text.trimEnd().replace(/ \(deleted\)$/, ""))) found.push(`/dev/${name}`);
  }
  return found;
}

/** The kernel tells nobody when an autoclear device is gone, so this looks again until it is. */
async function waitGone(file: string, limitMs: number): Promise<boolean> {
  for (let waitedMs = 0; ; waitedMs += 10) {
    if ((await loopsOf((backing) => backing === file)).length === 0) return true;
    if (waitedMs >= limitMs) return false;
    await sleep(10);
  }
}

// One at a time: two losetup looking for a free device at once may find the same one.
let line: Promise<unknown> = Promise.resolve();
function inLine<T>(act: () => Promise<T>): Promise<T> {
  const turn = line.then(act);
  line = turn.catch(() => undefined);
  return turn;
}

/**
 * @param file absolute path without links: it is compared with what the kernel says
 * @throws Error when a device of an earlier life still holds the file (two file systems on one file would tear it)
 */
export async function attachLoop(file: string): Promise<LoopDevice> {
  if (!(await waitGone(file, goneLimitMs))) throw new Error(`${file} is still attached to another loop device`);
  return inLine(async () => {
    const { stdout } = await runTool("losetup", ["--find", "--show", "--direct-io=on", "--", file]);
    const path = stdout.trim();
    const held = await open(path, "r").catch(async (cause: unknown) => {
      await runTool("losetup", ["--detach", path]);
      throw cause;
    });
    try {
      await runTool("losetup", ["--detach", path]); // we hold it: this only marks it autoclear
      const numbers = await readFile(`/sys/block/${basename(path)}/dev`, "utf8");
      const [major = 0, minor = 0] = numbers.trim().split(":").map(Number);
      return {
        path,
        major,
        minor,
        async grow() {
          await runTool("losetup", ["--set-capacity", path]);
        },
        async release() {
          await held.close();
          if (!(await waitGone(file, goneLimitMs))) throw new Error(`${path} is still in use by another process`);
        },
      };
    } catch (cause) {
      await held.close();
      throw cause;
    }
  });
}

/** Detaches what an earlier life left under `dir` (made by hand, or by a tool that died between two steps above). */
export async function detachLeftovers(dir: string): Promise<string[]> {
  const left = await loopsOf((backing) => backing.startsWith(`${dir}/`));
  for (const path of left) await runTool("losetup", ["--detach", path]);
  return left;
}
