// Makes the disk that `cdi up` imports as a demonstration: a bootable image padded to 1 GiB virtual with 200 MiB of data,
// as compressed qcow2. Made once per data folder.
import { createCipheriv, createHash } from "node:crypto";
import { access, mkdir, open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "../../datapath/index.ts";
import type { Log } from "../../lib/log.ts";

export interface SampleImage {
  path: string;
  virtualSizeBytes: number;
  /** What its first sectors are: shown to the user. */
  origin: string;
}

const mib = 1024 * 1024;
const virtualSizeBytes = 1024 * mib;
const dataBytes = 200 * mib;
/** Debian's package grub-rescue-pc: an ISO that boots from a disk as well. */
const rescueImage = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso";

/** @throws Fault ToolMissing without qemu-img */
export async function ensureSampleImage(dir: string, log: Log, signal: AbortSignal): Promise<SampleImage> {
  const { boot, origin } = await bootBytes();
  const name = `sample-${createHash("sha256").update(boot).digest("hex").slice(0, 12)}`;
  const path = join(dir, `${name}.qcow2`);
  if (!(await exists(path))) await makeImage(dir, name, boot, log, signal);
  return { path, virtualSizeBytes, origin };
}

async function bootBytes(): Promise<{ boot: Buffer; origin: string }> {
  if (await exists(rescueImage)) return { boot: await readFile(rescueImage), origin: "Debian's grub-rescue image" };
  return {
    boot: bootSector("No system on this sample disk.\r\n"),
    origin: "a boot sector of ours (grub-rescue-pc is not installed)",
  };
}

async function makeImage(dir: string, name: string, boot: Buffer, log: Log, signal: AbortSignal): Promise<void> {
  await mkdir(dir, { recursive: true });
  const raw = join(dir, `${name}.raw`);
  const part = join(dir, `${name}.part`);
  log.info("Making the sample image", { virtualSizeBytes, dataBytes });
  const file = await open(raw, "w");
  try {
    await file.truncate(virtualSizeBytes);
    await file.write(boot, 0, boot.length, 0);
    await writeData(file, boot.length);
  } finally {
    await file.close();
  }
  try {
    const args = ["convert", "-f", "raw", "-O", "qcow2", "-c", "-W", "-m", "8", raw, part];
    await runTool("qemu-img", args, { signal });
    await rename(part, join(dir, `${name}.qcow2`));
  } finally {
    await rm(raw, { force: true });
    await rm(part, { force: true });
  }
}

/** 100 extents of 2 MiB, half of each pattern and half noise, so that the image compresses as real disks do: by about half. */
async function writeData(file: FileHandle, from: number): Promise<void> {
  const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16));
  const extentBytes = 2 * mib;
  const first = Math.ceil(from / extentBytes) + 1;
  for (let index = 0; index < dataBytes / extentBytes; index += 1) {
    const extent = Buffer.alloc(extentBytes, `sample extent ${index} `);
    noise.update(Buffer.alloc(extentBytes / 2)).copy(extent);
    await file.write(extent, 0, extentBytes, (first + index * 5) * extentBytes);
  }
}

/** A PC boot sector that prints one line through the BIOS and halts. */
function bootSector(line: string): Buffer {
  // cld; mov si, 0x7c10; l: lodsb; or al, al; jz h; mov ah, 0x0e; int 0x10; jmp l; h: hlt; jmp h
  const code = [
    0xfc, 0xbe, 0x13, 0x7c, 0xac, 0x08, 0xc0, 0x74, 0x06, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf5, 0xf4, 0xeb, 0xfd, 0x90,
  ];
  const sector = Buffer.alloc(512);
  Buffer.from([...code, ...Buffer.from(`${line}\0`, "latin1")]).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
