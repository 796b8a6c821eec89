// The disk all benches move: 4 GiB virtual, a Debian root file system with a kernel in ext4. Built once into
// .cache/bench/image; needs root, debootstrap, a Debian mirror (or DEBIAN_MIRROR), qemu-utils, xz-utils, zstd, gzip.
import { execFile } from "node:child_process";
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const virtualBytes = 4 * 1024 ** 3;
const leastDataBytes = 600 * 1024 ** 2;
const packages = "linux-image-amd64,python3,git";

/** Every form of the disk, and the command that makes it from `disk.raw` (in the image folder; `$out` is its target). */
const forms = {
  "disk.raw.gz": "gzip -6 -c disk.raw > $out",
  // Several blocks, which xz 5.4 decodes in parallel: what `xz -T0` writes.
  "disk.raw.xz": "xz -T0 -c disk.raw > $out",
  "disk.raw.zst": "zstd -q -T0 -c disk.raw > $out",
  "disk.qcow2": "qemu-img convert -O qcow2 disk.raw $out",
  "disk-compressed.qcow2": "qemu-img convert -c -O qcow2 disk.raw $out",
} as const;
export type DiskForm = "disk.raw" | keyof typeof forms;

/** @returns the folder, with every form in it */
export async function ensureImages(cache: string): Promise<string> {
  const folder = join(cache, "image");
  await mkdir(folder, { recursive: true });
  const raw = join(folder, "disk.raw");
  if (!existsSync(raw)) await makeRaw(folder);
  const dataBytes = statSync(raw).blocks * 512;
  if (dataBytes < leastDataBytes) throw new Error(`${raw} holds only ${dataBytes} bytes of data`);
  for (const [name, command] of Object.entries(forms)) {
    if (!existsSync(join(folder, name))) await make(folder, name, command);
  }
  return folder;
}

/** Bytes of the file, and of the data in it. */
export function sizesOf(folder: string, form: DiskForm): { fileBytes: number; dataBytes: number } {
  const { size, blocks } = statSync(join(folder, form));
  return { fileBytes: size, dataBytes: blocks * 512 };
}

async function makeRaw(folder: string): Promise<void> {
  const tree = join(folder, "tree");
  const mirror = process.env.DEBIAN_MIRROR ?? "http://deb.debian.org/debian";
  rmSync(tree, { recursive: true, force: true });
  console.error(`bench: building the disk with debootstrap from ${mirror}`);
  await run("debootstrap", ["--variant=minbase", `--include=${packages}`, "bookworm", tree, mirror], {
    maxBuffer: 64 * 1024 ** 2,
  });
  rmSync(join(tree, "var/cache/apt/archives"), { recursive: true, force: true });
  const command = `truncate -s ${virtualBytes} $out && mkfs.ext4 -q -F -d tree $out`;
  await make(folder, "disk.raw", command);
  rmSync(tree, { recursive: true, force: true });
}

/** Made beside and renamed: a broken run leaves no half form that a later one would take for whole. */
async function make(folder: string, name: string, command: string): Promise<void> {
  console.error(`bench: making ${name}`);
  const out = join(folder, `${name}.new`);
  rmSync(out, { force: true });
  await run("/bin/sh", ["-ec", command], { cwd: folder, env: { PATH: process.env.PATH, out } });
  renameSync(out, join(folder, name));
}
