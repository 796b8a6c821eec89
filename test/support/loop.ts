// Loop devices and ext4 volumes for tests, released when the test ends. Root only.
import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

const run = promisify(execFile);
const MIB = 1024 * 1024;

/** Why loop tests cannot run here; undefined when they can. For `describe.skipIf(noLoops)`. */
export const noLoops: string | undefined = process.getuid?.() === 0 ? undefined : "loop devices need root";

export interface LoopOptions {
  sizeBytes: number;
  /** Logical block of the device. Default 512. */
  blockBytes?: 512 | 4096;
  /** What the device holds at first. Default `random`. */
  fill?: "random" | "zeros";
  /** `ramfs` makes a device that can neither punch nor discard. Default `disk`. */
  backing?: "disk" | "ramfs";
}

export interface Loop {
  /** `/dev/loopN` */
  device: string;
  backingPath: string;
  /** st_blocks of the backing file, bytes. */
  allocatedBytes: () => Promise<number>;
}

/** Takes the acts that release things; they have to run in reverse order. In a test vitest's onTestFinished serves. */
export type AtEnd = (release: () => Promise<void>) => void;

/** A folder that is removed when the test ends. */
export async function makeFolder(prefix = "cdi-test-", atEnd: AtEnd = onTestFinished): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A loop device over a fresh file, detached when the test ends. */
export async function makeLoop(options: LoopOptions, atEnd: AtEnd = onTestFinished): Promise<Loop> {
  const folder = await makeFolder("cdi-loop-", atEnd);
  if (options.backing === "ramfs") {
    await run("mount", ["-t", "ramfs", "ramfs", folder]);
    atEnd(() => run("umount", [folder]).then(() => undefined));
  }
  const backingPath = join(folder, "backing.img");
  await makeBacking(backingPath, options.sizeBytes, options.fill ?? "random");
  const device = await attachLoop(backingPath, options.blockBytes ?? 512, atEnd);
  return { device, backingPath, allocatedBytes: async () => (await stat(backingPath)).blocks * 512 };
}

/** A mounted ext4 file system of its own, unmounted when the test ends. @returns where it is mounted */
export async function makeExt4(sizeBytes: number, atEnd: AtEnd = onTestFinished): Promise<string> {
  const { device } = await makeLoop({ sizeBytes, fill: "zeros" }, atEnd);
  await run("mkfs.ext4", ["-q", "-m", "0", device]);
  const folder = await makeFolder("cdi-mount-", atEnd);
  await run("mount", [device, folder]);
  atEnd(() => run("umount", [folder]).then(() => undefined));
  return folder;
}

async function attachLoop(backingPath: string, blockBytes: number, atEnd: AtEnd): Promise<string> {
  const { stdout } = await run("losetup", ["--find", "--show", "--sector-size", String(blockBytes), backingPath]);
  const device = stdout.trim();
  atEnd(() => run("losetup", ["--detach", device]).then(() => undefined));
  return device;
}

async function makeBacking(path: string, sizeBytes: number, fill: "random" | "zeros"): Promise<void> {
  const handle = await open(path, "wx");
  try {
    await handle.truncate(sizeBytes);
    if (fill === "zeros") return;
    const bytes = randomFillSync(Buffer.alloc(MIB));
    for (let at = 0; at < sizeBytes; at += MIB) await handle.write(bytes, 0, Math.min(MIB, sizeBytes - at), at);
  } finally {
    await handle.close();
  }
}
