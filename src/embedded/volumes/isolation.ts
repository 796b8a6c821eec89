// What this machine lets us do: real devices and mount namespaces as root, or plain folders. Tried once, not guessed.
import { access, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../lib/log.ts";
import { runTool } from "../run-tool.ts";
import { attachLoop } from "./loop.ts";

/**
 * - `device`: claims are loop devices (ext4 for Filesystem), pods have namespaces of their own
 * - `folder`: claims are folders and plain files, pods are ordinary processes
 */
export type Road = "device" | "folder";

// pivot_root is refused where the root is an initramfs.
const probeScript =
  'mount -t tmpfs tmpfs "$1" && mknod "$1/null" c 1 3 && : > "$1/null" && mkdir "$1/old" && pivot_root "$1" "$1/old"';

/** @param dir an existing folder of ours on the file system that will hold the volumes */
export async function findRoad(dir: string, log: Log): Promise<Road> {
  if (process.getuid?.() !== 0) {
    log.info("Not root: volumes are folders and plain files, pods share this machine's file system and processes");
    return "folder";
  }
  const probe = join(dir, ".probe");
  try {
    await rm(probe, { recursive: true, force: true });
    await mkdir(join(probe, "root"), { recursive: true });
    await access("/dev/loop-control");
    const unshared = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    await runTool("unshare", [...unshared, "--", "sh", "-c", probeScript, "probe", join(probe, "root")]);
    const file = join(probe, "disk");
    await writeFile(file, "");
    await truncate(file, 1 << 20);
    await runTool("mkfs.ext4", ["-V"]);
    const loop = await attachLoop(file);
    await loop.release();
    return "device";
  } catch (cause) {
    log.warn("Root without namespaces or loop devices: volumes are folders and plain files", { cause: String(cause) });
    return "folder";
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
