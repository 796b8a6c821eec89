// Files that strangers might send, each with the fault it must be refused with. Sound images by qemu-img, then patched: a
// hostile file looks right but for one thing.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { FaultCode } from "../../src/lib/faults.ts";
import { createLuks, descriptorOf, sparseHeader, vmwareStream } from "./disk-formats.ts";
import { makeRawImage } from "./images.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

export interface HostileFile {
  /** File name: its ending takes part in what is refused. */
  name: string;
  bytes: Buffer;
  code: FaultCode;
}

type Change = (bytes: Buffer) => unknown;
interface Row {
  name: string;
  code: FaultCode;
  change: Change;
}

/** @returns every hostile file, made in `folder` where a tool has to make it */
export async function hostileFiles(folder: string): Promise<HostileFile[]> {
  const raw = makeRawImage(8 * MIB, 20, 3);
  const rawPath = join(folder, "base.raw");
  await writeFile(rawPath, raw);
  const convert = async (driver: string, name: string, options = "", ...more: string[]): Promise<Buffer> => {
    const path = join(folder, name);
    await run("qemu-img", ["convert", "-O", driver, ...(options ? ["-o", options] : []), ...more, rawPath, path]);
    return await readFile(path);
  };
  const create = async (name: string, ...args: string[]): Promise<Buffer> => {
    await run("qemu-img", ["create", "-q", ...args, join(folder, name), "8M"], { cwd: folder });
    return await readFile(join(folder, name));
  };
  const rowsOn = (base: Buffer, ending: string, rows: readonly Row[]): HostileFile[] =>
    rows.map(({ name, code, change }) => {
      const bytes = Buffer.from(base);
      const changed = change(bytes);
      return { name: `${name}${ending}`, code, bytes: Buffer.isBuffer(changed) ? changed : bytes };
    });
  await convert("qcow2", "backing.qcow2");
  return [
    ...rowsOn(await convert("qcow2", "v3.qcow2"), ".qcow2", qcow2Rows),
    ...rowsOn(await convert("qcow2", "v2.qcow2", "compat=0.10"), ".qcow2", qcow2Version2Rows),
    ...rowsOn(await convert("qcow2", "packed.qcow2", "", "-c"), ".qcow2", packedRows),
    ...rowsOn(await convert("vmdk", "sparse.vmdk", "subformat=monolithicSparse"), ".vmdk", vmdkRows),
    ...rowsOn(await convert("vdi", "dynamic.vdi"), ".vdi", vdiRows),
    ...rowsOn(await convert("vpc", "dynamic.vhd", "subformat=dynamic"), ".vhd", vhdRows),
    ...rowsOn(await convert("vhdx", "dynamic.vhdx"), ".vhdx", vhdxRows),
    ...rowsOn(await convert("qed", "disk.qed"), ".qed", qedRows),
    ...streamRows(raw),
    ...otherRows(raw, await convert("qcow2", "again.qcow2")),
    {
      name: "backed.qcow2",
      code: "ImageRefused",
      bytes: await create("backed.qcow2", "-f", "qcow2", "-F", "qcow2", "-b", "backing.qcow2"),
    },
    {
      name: "external.qcow2",
      code: "ImageRefused",
      bytes: await create("external.qcow2", "-f", "qcow2", "-o", `data_file=${join(folder, "data.raw")}`),
    },
    {
      name: "luks.qcow2",
      code: "ImageRefused",
      bytes: await luksIn(join(folder, "luks.qcow2")),
    },
    {
      name: "backed.qed",
      code: "ImageRefused",
      bytes: await create("backed.qed", "-f", "qed", "-F", "qcow2", "-b", "backing.qcow2"),
    },
    { name: "version-1.qcow2", code: "FormatUnsupported", bytes: await create("version-1.qcow2", "-f", "qcow") },
    { name: "backed.vmdk", code: "ImageRefused", bytes: await createBackedVmdk(folder) },
  ];
}

async function luksIn(path: string): Promise<Buffer> {
  await createLuks(["-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", path, "8M"]);
  return await readFile(path);
}

async function createBackedVmdk(folder: string): Promise<Buffer> {
  const parent = join(folder, "parent.vmdk");
  await run("qemu-img", ["create", "-q", "-f", "vmdk", parent, "8M"]);
  await run("qemu-img", ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", parent, join(folder, "child.vmdk")]);
  return await readFile(join(folder, "child.vmdk"));
}

const l1Of = (bytes: Buffer): number => Number(bytes.readBigUInt64BE(40));
/** Offset in the file of the first L2 table that is there. */
function l2Of(bytes: Buffer): number {
  for (let at = l1Of(bytes); ; at += 8) {
    const offset = Number(bytes.readBigUInt64BE(at) & 0x00ff_ffff_ffff_fe00n);
    if (offset > 0) return offset;
  }
}
/** Offset of the first L2 entry with data. */
function entryOf(bytes: Buffer): number {
  for (let at = l2Of(bytes); ; at += 8) if (bytes.readBigUInt64BE(at) !== 0n) return at;
}

const qcow2Rows: readonly Row[] = [
  {
    name: "backing-etc-passwd",
    code: "ImageRefused",
    change: (b) => (b.writeBigUInt64BE(512n, 8), b.writeUInt32BE(11, 16), b.write("/etc/passwd", 512)),
  },
  {
    name: "backing-json",
    code: "ImageRefused",
    change: (b) => (
      b.writeBigUInt64BE(512n, 8),
      b.writeUInt32BE(40, 16),
      b.write('json:{"driver":"nbd","host":"127.0.0.1"}', 512)
    ),
  },
  { name: "backing-past-the-end", code: "ImageRefused", change: (b) => b.writeBigUInt64BE(2n ** 60n, 8) },
  { name: "encrypted-aes", code: "ImageRefused", change: (b) => b.writeUInt32BE(1, 32) },
  { name: "encrypted-unknown", code: "ImageRefused", change: (b) => b.writeUInt32BE(7, 32) },
  { name: "data-file-bit", code: "ImageRefused", change: (b) => b.writeBigUInt64BE(4n, 72) },
  { name: "unknown-bit-5", code: "ImageRefused", change: (b) => b.writeBigUInt64BE(32n, 72) },
  { name: "unknown-bit-63", code: "ImageRefused", change: (b) => b.writeBigUInt64BE(2n ** 63n, 72) },
  { name: "version-0", code: "ImageRefused", change: (b) => b.writeUInt32BE(0, 4) },
  { name: "version-4", code: "ImageRefused", change: (b) => b.writeUInt32BE(4, 4) },
  { name: "cluster-bits-0", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(0, 20) },
  { name: "cluster-bits-8", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(8, 20) },
  { name: "cluster-bits-22", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(22, 20) },
  { name: "cluster-bits-63", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(63, 20) },
  { name: "size-2-to-63", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(2n ** 63n, 24) },
  { name: "size-of-all-bits", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(2n ** 64n - 1n, 24) },
  { name: "size-beyond-its-l1", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(2n ** 40n, 24) },
  { name: "l1-of-2-to-31", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(2 ** 31, 36) },
  { name: "l1-unaligned", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(BigInt(l1Of(b) + 8), 40) },
  { name: "l1-nowhere", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(0n, 40) },
  { name: "l1-past-the-end", code: "ImageTruncated", change: (b) => b.writeBigUInt64BE(2n ** 40n, 40) },
  { name: "refcounts-of-128-bits", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(7, 96) },
  { name: "header-too-short", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(90, 100) },
  { name: "header-of-2-gib", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(2 ** 31, 100) },
  {
    name: "compression-unknown",
    code: "ImageCorrupt",
    change: (b) => (b.writeBigUInt64BE(8n, 72), b.writeUInt8(9, 104)),
  },
  { name: "compression-without-bit", code: "ImageCorrupt", change: (b) => b.writeUInt8(1, 104) },
  {
    name: "l1-entry-unaligned",
    code: "ImageCorrupt",
    change: (b) => b.writeBigUInt64BE(BigInt(l2Of(b) + 512), l1Of(b)),
  },
  { name: "l2-past-the-end", code: "ImageTruncated", change: (b) => b.writeBigUInt64BE(2n ** 40n, l1Of(b)) },
  { name: "cluster-unaligned", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(66_048n, entryOf(b)) },
  { name: "cluster-past-the-end", code: "ImageTruncated", change: (b) => b.writeBigUInt64BE(2n ** 40n, entryOf(b)) },
  {
    name: "compressed-past-the-end",
    code: "ImageTruncated",
    change: (b) => b.writeBigUInt64BE(2n ** 62n + 2n ** 40n, entryOf(b)),
  },
  { name: "cut-in-its-header", code: "ImageTruncated", change: (b) => b.subarray(0, 600) },
  { name: "cut-in-its-data", code: "ImageTruncated", change: (b) => b.subarray(0, b.length >> 1) },
];

const qcow2Version2Rows: readonly Row[] = [
  { name: "zeros-in-version-2", code: "ImageCorrupt", change: (b) => b.writeBigUInt64BE(1n, entryOf(b)) },
];

const packedRows: readonly Row[] = [
  {
    name: "deflate-of-noise",
    code: "ImageCorrupt",
    change(b) {
      const offset = Number(b.readBigUInt64BE(entryOf(b)) & 0x003f_ffff_ffff_ffffn);
      b.fill(0xff, offset, offset + 64);
    },
  },
];

/** Replaces what stands in the descriptor, which qemu writes into the second sector. */
const described =
  (from: RegExp, to: string): Change =>
  (b) => {
    const text = b.toString("latin1", 512, 512 + 20 * 512).replace(from, to);
    b.write(text.slice(0, 20 * 512), 512, "latin1");
  };
const vmdkRows: readonly Row[] = [
  {
    name: "extent-etc-shadow",
    code: "ImageRefused",
    change: described(/RW (\d+) SPARSE "[^"]*"/, 'RW $1 FLAT "/etc/shadow" 0'),
  },
  { name: "extent-elsewhere", code: "ImageRefused", change: described(/SPARSE "[^"]*"/, 'SPARSE "../../etc/x"') },
  {
    name: "extent-a-device",
    code: "ImageRefused",
    change: described(/RW (\d+) SPARSE "[^"]*"/, 'RW $1 FLAT "/dev/sda" 0'),
  },
  { name: "extent-vmfs", code: "ImageRefused", change: described(/SPARSE "/, 'VMFSSPARSE "') },
  { name: "type-split", code: "ImageRefused", change: described(/monolithicSparse/, "twoGbMaxExtentSp") },
  { name: "type-full-device", code: "ImageRefused", change: described(/monolithicSparse/, "fullDevice      ") },
  { name: "parent-cid", code: "ImageRefused", change: described(/parentCID=ffffffff/, "parentCID=12345678") },
  { name: "no-sectors", code: "ImageRefused", change: (b) => b.writeBigUInt64LE(0n, 12) },
  { name: "sectors-absurd", code: "ImageCorrupt", change: (b) => b.writeBigUInt64LE(2n ** 60n, 12) },
  { name: "grain-0", code: "ImageCorrupt", change: (b) => b.writeBigUInt64LE(0n, 20) },
  { name: "grain-2-to-40", code: "ImageCorrupt", change: (b) => b.writeBigUInt64LE(2n ** 40n, 20) },
  { name: "tables-of-1", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(1, 44) },
  { name: "version-9", code: "ImageRefused", change: (b) => b.writeUInt32LE(9, 4) },
  { name: "descriptor-elsewhere", code: "ImageRefused", change: (b) => b.writeBigUInt64LE(5n, 28) },
  { name: "descriptor-absurd", code: "ImageRefused", change: (b) => b.writeBigUInt64LE(2n ** 40n, 36) },
  { name: "compression-unknown", code: "ImageRefused", change: (b) => b.writeUInt16LE(5, 77) },
  { name: "changed-as-text", code: "ImageCorrupt", change: (b) => b.write("\n\n\n\n", 73) },
  {
    name: "directory-nowhere",
    code: "ImageCorrupt",
    change: (b) => (b.writeBigUInt64LE(0n, 56), b.writeUInt32LE(1, 8)),
  },
];

const vdiRows: readonly Row[] = [
  { name: "undo", code: "ImageRefused", change: (b) => b.writeUInt32LE(3, 0x4c) },
  { name: "differencing", code: "ImageRefused", change: (b) => b.writeUInt32LE(4, 0x4c) },
  { name: "with-a-parent", code: "ImageRefused", change: (b) => b.fill(7, 0x1b8, 0x1c8) },
  { name: "version-2", code: "ImageRefused", change: (b) => b.writeUInt32LE(0x0002_0000, 0x44) },
  { name: "blocks-of-4-gib", code: "ImageRefused", change: (b) => b.writeUInt32LE(0xffff_fff0, 0x178) },
  { name: "sectors-of-4096", code: "ImageRefused", change: (b) => b.writeUInt32LE(4096, 0x168) },
  { name: "map-in-its-header", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(1, 0x154) },
  { name: "map-absurd", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(0xffff_ffff, 0x180) },
  { name: "larger-than-its-blocks", code: "ImageCorrupt", change: (b) => b.writeBigUInt64LE(2n ** 62n, 0x170) },
  { name: "block-of-no-use", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(0x7fff_ffff, b.readUInt32LE(0x154)) },
  { name: "cut", code: "ImageTruncated", change: (b) => b.subarray(0, b.length >> 1) },
];

/** VHD's checksum: one's complement of the sum of the other bytes. */
function sealVhd(bytes: Buffer, at: number, length: number, field: number): void {
  bytes.writeUInt32BE(0, at + field);
  let sum = 0;
  for (const byte of bytes.subarray(at, at + length)) sum += byte;
  bytes.writeUInt32BE(~sum >>> 0, at + field);
}
const footer =
  (change: Change): Change =>
  (b) => (change(b), sealVhd(b, 0, 512, 64));
const dynamicHeader =
  (change: Change): Change =>
  (b) => (change(b.subarray(512)), sealVhd(b, 512, 1024, 36));
const vhdRows: readonly Row[] = [
  { name: "checksum-wrong", code: "ImageCorrupt", change: (b) => b.writeUInt32BE(1, 64) },
  { name: "differencing", code: "ImageRefused", change: footer((b) => b.writeUInt32BE(4, 60)) },
  { name: "kind-unknown", code: "ImageRefused", change: footer((b) => b.writeUInt32BE(9, 60)) },
  { name: "version-2", code: "ImageRefused", change: footer((b) => b.writeUInt16BE(2, 12)) },
  { name: "size-absurd", code: "ImageCorrupt", change: footer((b) => b.writeBigUInt64BE(2n ** 62n, 48)) },
  { name: "header-nowhere", code: "ImageTruncated", change: footer((b) => b.writeBigUInt64BE(2n ** 40n, 16)) },
  { name: "blocks-of-3", code: "ImageCorrupt", change: dynamicHeader((b) => b.writeUInt32BE(3, 32)) },
  { name: "blocks-of-2-gib", code: "ImageCorrupt", change: dynamicHeader((b) => b.writeUInt32BE(2 ** 31, 32)) },
  { name: "table-absurd", code: "ImageCorrupt", change: dynamicHeader((b) => b.writeUInt32BE(0xffff_ffff, 28)) },
  { name: "table-too-short", code: "ImageCorrupt", change: dynamicHeader((b) => b.writeUInt32BE(1, 28)) },
  {
    name: "table-past-the-end",
    code: "ImageTruncated",
    change: dynamicHeader((b) => b.writeBigUInt64BE(2n ** 40n, 16)),
  },
];

const vhdxRows: readonly Row[] = [
  {
    name: "both-headers-broken",
    code: "ImageCorrupt",
    change: (b) => (b.fill(1, 65_600, 65_700), b.fill(1, 131_136, 131_236)),
  },
  {
    name: "region-table-broken",
    code: "ImageCorrupt",
    change: (b) => (b.fill(1, 196_640, 196_700), b.fill(1, 262_176, 262_236)),
  },
  { name: "metadata-broken", code: "ImageCorrupt", change: (b) => b.write("METADATA", b.indexOf("metadata")) },
  { name: "cut", code: "ImageTruncated", change: (b) => b.subarray(0, 3 * MIB) },
];

const qedRows: readonly Row[] = [
  { name: "backing-bit", code: "ImageRefused", change: (b) => b.writeBigUInt64LE(1n, 16) },
  { name: "unknown-bit", code: "ImageRefused", change: (b) => b.writeBigUInt64LE(2n ** 40n, 16) },
  { name: "clusters-of-3", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(3, 4) },
  { name: "tables-of-1000", code: "ImageCorrupt", change: (b) => b.writeUInt32LE(1000, 8) },
  { name: "l1-past-the-end", code: "ImageTruncated", change: (b) => b.writeBigUInt64LE(2n ** 40n, 40) },
];

function streamRows(raw: Buffer): HostileFile[] {
  const sectors = raw.length / 512;
  const withDescriptor = (name: string, descriptor: string): HostileFile => ({
    name: `${name}.vmdk`,
    code: "ImageRefused",
    bytes: vmwareStream(raw, { descriptor }),
  });
  return [
    withDescriptor(
      "stream-parent",
      descriptorOf("streamOptimized", [`RW ${sectors} SPARSE "d"`], "parentCID=0badcafe"),
    ),
    withDescriptor(
      "stream-two-extents",
      descriptorOf("streamOptimized", [`RW 8 SPARSE "d"`, `RW 8 FLAT "/etc/passwd" 0`]),
    ),
    { name: "stream-cut.vmdk", code: "ImageTruncated", bytes: vmwareStream(raw).subarray(0, -1024) },
    { name: "stream-header-alone.vmdk", code: "ImageTruncated", bytes: sparseHeader(sectors, 2n ** 64n - 1n) },
  ];
}

const text = (words: string): Buffer => Buffer.from(words.padEnd(2048, " "));
const zip = (): Buffer => Buffer.concat([Buffer.from("504b0304", "hex"), deflateRawSync(Buffer.alloc(4096))], 4096);

function otherRows(raw: Buffer, qcow2: Buffer): HostileFile[] {
  const noise = raw.subarray(raw.length - 512);
  return [
    { name: "page.img", code: "NotAnImage", bytes: text("<!DOCTYPE html><html><body>Sign in</body></html>") },
    { name: "page.qcow2", code: "NotAnImage", bytes: text("\n  <html><head></head></html>") },
    {
      name: "error.img",
      code: "NotAnImage",
      bytes: text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    },
    { name: "error-json.img", code: "NotAnImage", bytes: text('{"error": "not found"}') },
    { name: "archive.img", code: "NotAnImage", bytes: zip() },
    { name: "zip-with-a-qcow2-behind.img", code: "NotAnImage", bytes: Buffer.concat([zip(), qcow2]) },
    { name: "archive-7z.img", code: "NotAnImage", bytes: Buffer.concat([Buffer.from("377abcaf271c", "hex")], 4096) },
    {
      name: "descriptor.img",
      code: "NotAnImage",
      bytes: text(descriptorOf("monolithicFlat", ['RW 8 FLAT "/etc/passwd" 0'])),
    },
    { name: "descriptor.vmdk", code: "NotAnImage", bytes: text(descriptorOf("vmfs", ['RW 8 VMFS "/dev/sda" 0'])) },
    { name: "noise.qcow2", code: "NotAnImage", bytes: Buffer.concat(Array.from({ length: 8 }, () => noise)) },
    {
      name: "noise.vhdx.gz",
      code: "NotAnImage",
      bytes: gzipSync(Buffer.concat(Array.from({ length: 8 }, () => noise))),
    },
    { name: "hundred-bytes.img", code: "ImageTooShort", bytes: raw.subarray(0, 100) },
    { name: "empty.img", code: "ImageTooShort", bytes: Buffer.alloc(0) },
    { name: "empty-under-gz.img.gz", code: "ImageTooShort", bytes: gzipSync(Buffer.alloc(0)) },
    { name: "bomb.img.gz", code: "TargetTooSmall", bytes: gzipSync(Buffer.alloc(192 * MIB)) },
    { name: "bomb.img.zst", code: "TargetTooSmall", bytes: zstdCompressSync(Buffer.alloc(192 * MIB)) },
    {
      name: "bomb-in-layers.img.gz",
      code: "TargetTooSmall",
      bytes: gzipSync(zstdCompressSync(gzipSync(Buffer.alloc(192 * MIB)))),
    },
    {
      name: "five-layers.img",
      code: "ImageRefused",
      bytes: Array.from({ length: 5 }).reduce<Buffer>((b) => gzipSync(b), raw.subarray(0, 4096)),
    },
    { name: "cut.img.gz", code: "ImageCorrupt", bytes: gzipSync(raw).subarray(0, 4000) },
    { name: "cut.img.zst", code: "ImageCorrupt", bytes: zstdCompressSync(raw).subarray(0, 4000) },
  ];
}
