// Disk images for tests, the same bytes for the same seed: raw with random extents in a sea of zeros, an ISO, qcow2 in its
// kinds by qemu-img, and each of them under gz, xz or zst.
//
//   const images = await makeImages({ folder, sizeBytes: 16 * MIB + 512, seed: 7 });
//   images.raw                                   // what the disk must read as
//   await images.file("qcow2-v3", "xz")          // path of a file, made when first asked for
import { execFile } from "node:child_process";
import { createCipheriv, createHash } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { numbersFrom } from "./sparse-image.ts";

const run = promisify(execFile);

export const imageKinds = [
  "raw",
  "iso",
  "qcow2-v2",
  "qcow2-v3",
  "qcow2-compressed",
  "qcow2-zstd",
  "qcow2-extended",
] as const;
export type ImageKind = (typeof imageKinds)[number];
export const wrappings = ["plain", "gz", "xz", "zst"] as const;
export type Wrapping = (typeof wrappings)[number];

/** Arguments of qemu-img convert. */
const qcow2Arguments: Readonly<Partial<Record<ImageKind, readonly string[]>>> = {
  "qcow2-v2": ["-o", "compat=0.10"],
  "qcow2-v3": ["-o", "compat=1.1"],
  "qcow2-compressed": ["-c", "-o", "compat=1.1"],
  "qcow2-zstd": ["-c", "-o", "compat=1.1,compression_type=zstd"],
  "qcow2-extended": ["-o", "compat=1.1,extended_l2=on"],
};

export interface ImagesWanted {
  folder: string;
  /** Need not be whole clusters, but whole sectors of 512: qemu-img takes no less. Default 8 MiB and a sector. */
  sizeBytes?: number;
  /** Default 24. */
  extents?: number;
  /** No extent is longer. Default: as many as fill the disk. */
  longestExtentBytes?: number;
  /** Default 1. */
  seed?: number;
}

export interface Images {
  /** The disk as a guest sees it. */
  readonly raw: Buffer;
  /** The ISO has its mark, and is otherwise the same disk. */
  readonly iso: Buffer;
  /** What an import of this kind must give. */
  expected(kind: ImageKind): Buffer;
  /** Path of the image; its name ends as such files are named, `.qcow2.gz`. */
  file(kind: ImageKind, wrapping?: Wrapping): Promise<string>;
}

/** Random extents at odd and even sectors; the last sector bears data. */
export function makeRawImage(sizeBytes: number, extents: number, seed: number, longestExtentBytes?: number): Buffer {
  const image = Buffer.alloc(sizeBytes);
  const next = numbersFrom(seed);
  const longest = Math.max(1, Math.floor((longestExtentBytes ?? sizeBytes / Math.max(1, extents)) / 512));
  for (let index = 0; index < extents; index += 1) {
    const length = 512 * Math.ceil(next() * longest);
    const offset = 512 * Math.floor((next() * (sizeBytes - length)) / 512);
    seededBytes(length, `${seed}/${index}`).copy(image, offset);
  }
  seededBytes(512, `${seed}/last`).copy(image, sizeBytes - 512);
  return image;
}

/** Bytes that no compressor makes smaller, the same for the same seed. */
export function seededBytes(length: number, seed: string): Buffer {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Writes nothing yet but the raw disk. */
export async function makeImages(wanted: ImagesWanted): Promise<Images> {
  const { folder, sizeBytes = 8 * 1024 * 1024 + 512, extents = 24, seed = 1, longestExtentBytes } = wanted;
  const raw = makeRawImage(sizeBytes, extents, seed, longestExtentBytes);
  const iso = Buffer.from(raw);
  iso.write("\u0001CD001\u0001", 0x8000, "latin1");
  const made = new Map<string, Promise<string>>();
  const once = (name: string, make: (path: string) => Promise<unknown>): Promise<string> => {
    const path = join(folder, name);
    const making = made.get(name) ?? make(path).then(() => path);
    made.set(name, making);
    return making;
  };
  const plain = (kind: ImageKind): Promise<string> => {
    if (kind === "raw") return once(`disk-${seed}.img`, (path) => writeFile(path, raw));
    if (kind === "iso") return once(`disk-${seed}.iso`, (path) => writeFile(path, iso));
    return once(`disk-${seed}-${kind}.qcow2`, async (path) => {
      const options = qcow2Arguments[kind] ?? [];
      await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...options, await plain("raw"), path]);
    });
  };
  return {
    raw,
    iso,
    expected: (kind) => (kind === "iso" ? iso : raw),
    async file(kind, wrapping = "plain") {
      const path = await plain(kind);
      if (wrapping === "plain") return path;
      return once(`${path.slice(folder.length + 1)}.${wrapping}`, async (target) => {
        await writeFile(target, await wrap(await readFile(path), wrapping));
      });
    },
  };
}

/** Compresses as the tools do by default; xz in blocks, as `xz -T` writes them. */
export async function wrap(bytes: Buffer, wrapping: Wrapping): Promise<Buffer> {
  if (wrapping === "gz") return gzipSync(bytes, { level: 1 });
  if (wrapping === "zst") return zstdCompressSync(bytes);
  if (wrapping === "xz") return await xzOf(bytes);
  return bytes;
}

/** @param blocks `many` of 1 MiB, which decode in parallel, or `one` */
export async function xzOf(bytes: Buffer, blocks: "many" | "one" = "many"): Promise<Buffer> {
  const layout = blocks === "many" ? ["--block-size=1MiB", "-T2"] : ["-T1"];
  const running = run("xz", ["-0", "--stdout", ...layout], { encoding: "buffer", maxBuffer: 2 ** 31 });
  running.child.stdin?.end(bytes);
  return (await running).stdout;
}

/** A copy that misses its last bytes. */
export async function truncatedCopy(path: string, missingBytes: number): Promise<string> {
  const bytes = await readFile(path);
  const target = join(path.replace(/[^/]*$/, ""), `cut-${missingBytes}-${path.replace(/^.*\//, "")}`);
  await writeFile(target, bytes.subarray(0, bytes.length - missingBytes));
  return target;
}

/** What qemu-img itself makes of an image. */
export async function rawByQemu(path: string, target: string): Promise<Buffer> {
  await run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, target]);
  const handle = await open(target, "r");
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
