// What is fuzzed: each target makes an input from a seed - sound bytes with a few things wrong that a parser looks at - and runs
// it. Only a Fault of the catalog may come out.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { requireTool } from "../../src/datapath/child.ts";
import { decodeInParallel } from "../../src/datapath/decoders/xz-parallel.ts";
import { importImage, newProgress, type Sink, type Source } from "../../src/datapath/index.ts";
import { inspectors } from "../../src/datapath/inspect/index.ts";
import type { DiskFormat } from "../../src/datapath/sniff.ts";
import { walkTar } from "../../src/datapath/tar/walk.ts";
import { giveBack } from "../../src/lib/buffers.ts";
import { addressPolicy, contentRange, hostsFrom } from "../../src/lib/http.ts";
import { proxyFor } from "../../src/lib/http-proxy.ts";
import { firstHop, nextHop } from "../../src/lib/http-redirect.ts";
import { Fault } from "../../src/lib/faults.ts";
import { silentLog } from "../../src/lib/log.ts";
import { bytesSource } from "./bring.ts";
import { makeRawImage } from "./images.ts";
import { randomFrom, randomQcow2 } from "./random-qcow2.ts";

export interface FuzzTarget {
  name: string;
  run(seed: number): Promise<void>;
}
type Next = (below: number) => number;

const MIB = 1024 * 1024;
const targetBytes = 128 * MIB;
/** Numbers that parsers trip over. */
const wideNumbers = [
  0n,
  1n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A few changes within `within` bytes: numbers at aligned places, flipped bits, copied stretches; sometimes a cut. */
function spoil(bytes: Buffer, next: Next, within = bytes.length): Buffer {
  const limit = Math.min(within, bytes.length);
  for (let change = next(4); change >= 0 && limit >= 16; change -= 1) {
    const at = next(limit - 8);
    const aligned = at - (at % 4);
    const number = wideNumbers[next(wideNumbers.length)] ?? 0n;
    const act = next(6);
    if (act === 0) bytes[at] = next(256);
    if (act === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
    if (act === 2) bytes.writeUInt32BE(Number(number & 0xffff_ffffn), aligned);
    if (act === 3) bytes.writeUInt32LE(Number(number & 0xffff_ffffn), aligned);
    if (act === 4) bytes.writeBigUInt64BE(number, aligned);
    if (act === 5) bytes.copy(bytes, next(limit - 8), at, at + 8);
  }
  return next(8) === 0 ? bytes.subarray(0, next(bytes.length) + 1) : bytes;
}

/** Takes bytes and keeps none; a write outside the disk is a mistake of ours. */
function boundsSink(): Sink {
  const inside = (offset: number, length: number): Promise<void> => {
    if (!(offset >= 0 && length >= 0 && offset + length <= targetBytes)) {
      return Promise.reject(new Error(`a write of ${length} bytes to ${offset}`));
    }
    return Promise.resolve();
  };
  return {
    kind: "filesystem",
    path: "nowhere",
    availableBytes: targetBytes,
    begin: (bytes) => inside(0, bytes),
    write: (offset, bytes) => inside(offset, bytes.length),
    zero: inside,
    lend: () => Promise.reject(new Error("nothing is lent here")),
    commit: () => Promise.resolve({ sizeBytes: 0, preallocated: false }),
    discard: () => Promise.resolve(),
  };
}

/** Without scratch, so that what cannot go through once ends in an answer. */
async function pourAll(source: Source): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const progress = newProgress();
  await importImage({ source, sink: boundsSink(), progress, log: silentLog, signal, preallocate: false });
}

function ranged(bytes: Buffer): Source {
  return {
    ...bytesSource(bytes),
    facts: () => Promise.resolve({ sizeBytes: bytes.length, ranges: true, validator: '"1"' }),
    read(offset, into) {
      if (offset < 0 || offset + into.length > bytes.length) throw new Error(`a read of ${into.length} at ${offset}`);
      bytes.copy(into, 0, offset);
      return Promise.resolve();
    },
  };
}

/** Header, then anywhere: tables lie where the writer put them. */
function spoiledQcow2(next: Next): Buffer {
  const { image } = randomQcow2(1 + next(400));
  return spoil(Buffer.from(image), next, next(3) === 0 ? 112 : image.length);
}

/** Bases by qemu-img, made once. */
export function makeBases(): { bases: Map<DiskFormat, Buffer>; tar: Buffer; xz: Buffer; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "cdi-fuzz-"));
  const rawPath = join(folder, "raw");
  writeFileSync(rawPath, makeRawImage(3 * MIB + 512, 8, 9, 64 * 1024));
  const drivers: readonly [DiskFormat, string, string][] = [
    ["vmdk", "vmdk", "subformat=monolithicSparse"],
    ["vdi", "vdi", "static=off"],
    ["vhd", "vpc", "subformat=dynamic"],
    ["vhdx", "vhdx", "subformat=dynamic,block_size=1M"],
    ["qed", "qed", "cluster_size=4096"],
  ];
  const bases = new Map<DiskFormat, Buffer>();
  for (const [format, driver, options] of drivers) {
    const path = join(folder, format);
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", driver, "-o", options, rawPath, path]);
    bases.set(format, readFileSync(path));
  }
  writeFileSync(join(folder, "small"), Buffer.alloc(700, 1));
  const names = ["-C", folder, "small", "raw"];
  execFileSync("tar", ["-cf", join(folder, "gnu.tar"), "--sparse", "--format=gnu", ...names]);
  execFileSync("tar", ["-cf", join(folder, "pax.tar"), "--sparse", "--format=pax", ...names]);
  const tar = Buffer.concat([
    readFileSync(join(folder, "gnu.tar")).subarray(0, 64 * 1024),
    readFileSync(join(folder, "pax.tar")),
  ]);
  const xz = execFileSync("xz", ["-0", "-T2", "--block-size=256KiB", "--stdout", rawPath]);
  return { bases, tar, xz, folder };
}

async function walkSpoiled(format: DiskFormat, base: Buffer, folder: string, next: Next): Promise<void> {
  // All that parsers look at lies in the first part, but for footers at the end.
  const bytes = spoil(Buffer.from(base), next, next(2) === 0 ? 4096 : base.length);
  inspectors[format].readHead(bytes.subarray(0, 64 * 1024));
  const path = join(folder, `spoiled-${format}`);
  await writeFile(path, bytes);
  const handle = await open(path);
  try {
    await inspectors[format].walk(path, AbortSignal.timeout(60_000));
  } finally {
    await handle.close();
    await rm(path);
  }
}

async function* pieces(bytes: Buffer, next: Next): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const length = 1 + next(next(4) === 0 ? 100 : 20_000);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function walkSpoiledTar(base: Buffer, next: Next): Promise<void> {
  const bytes = spoil(Buffer.from(base), next, next(2) === 0 ? 2048 : base.length);
  for await (const entry of walkTar(pieces(bytes, next))) {
    if (next(3) === 0) continue;
    let end = 0;
    for await (const { offset, bytes: some } of entry.pieces()) {
      if (offset < end || offset + some.length > entry.sizeBytes)
        throw new Error(`a piece at ${offset} of ${entry.name}`);
      end = offset + some.length;
    }
  }
}

/** Headers bear a seal: without it changed right a lie would never be looked at. */
function sealFirstBlock(bytes: Buffer): void {
  const end = bytes.length > 12 ? 12 + bytes.readUInt8(12) * 4 : bytes.length;
  if (end + 4 <= bytes.length) bytes.writeUInt32LE(crc32(bytes.subarray(12, end)), end);
}

async function unpackSpoiledXz(base: Buffer, next: Next): Promise<void> {
  const near = next(2) === 0;
  const bytes = spoil(Buffer.from(base), next, near ? 40 : base.length);
  if (near) sealFirstBlock(bytes);
  const args = ["--decompress", "--stdout", "--memlimit-decompress=64MiB", "--threads=1"];
  const tool = { path: requireTool("xz"), args, signal: AbortSignal.timeout(60_000), processors: 2 };
  const output = decodeInParallel(Readable.from(pieces(bytes, next)), tool);
  for await (const piece of output ?? []) giveBack(piece as Buffer);
}

const urlParts = [
  "http:",
  "https:",
  "HTTP:",
  "//",
  "/",
  "\\\\",
  "@",
  ":",
  "[",
  "]",
  "::1",
  "::ffff:",
  "%",
  "%00",
  "..",
  "?",
  "#",
  " ",
  "169.254.169.254",
  "0x7f.1",
  "localhost",
  "a.b",
  "user:pw",
  "8080",
  "99999",
  "\u0000",
  "ｅ",
  "xn--",
  "data:",
  "-1",
];
function textFrom(parts: readonly string[], next: Next): string {
  return Array.from({ length: next(9) }, () => parts[next(parts.length)] ?? "").join("");
}
const rangeParts = [
  "bytes ",
  "bytes=",
  "0-",
  "-",
  "/",
  "*",
  "9007199254740993",
  "1",
  "0",
  " ",
  "-1",
  "x",
  "00",
  "1e3",
  ",",
];

function readTexts(next: Next): void {
  const number = (): string => String(wideNumbers[next(wideNumbers.length)]);
  const nearly = `bytes ${number()}-${number()}/${next(4) === 0 ? "*" : number()}`;
  const part = contentRange(next(2) === 0 ? nearly : textFrom(rangeParts, next));
  if (part && !(part.first >= 0 && part.last >= part.first && part.last < (part.total ?? 2 ** 53))) {
    throw new Error(`a range of ${JSON.stringify(part)}`);
  }
  const url = URL.parse(textFrom(urlParts, next));
  const location = textFrom(urlParts, next);
  const settings = {
    http: textFrom(urlParts, next),
    https: location,
    noProxy: textFrom([...urlParts, ",", "*", "/8"], next),
  };
  if (url && ["http:", "https:"].includes(url.protocol)) {
    const hop = nextHop(firstHop(url), location);
    if (!["http:", "https:"].includes(hop.url.protocol)) throw new Error(`a hop to ${hop.url.href}`);
    if (hop.keepsPrivate && hop.url.hostname !== url.hostname) throw new Error(`credentials go to ${hop.url.href}`);
    proxyFor(url, settings);
  }
  hostsFrom(textFrom([...urlParts, "\n", "\t", "127.0.0.1"], next))("localhost");
  addressPolicy({
    inPod: true,
    rules: textFrom(["allow:", "deny:", ",", "10.0.0.0/8", "::/0", "loopback", "/", "x"], next),
  });
}

export function fuzzTargets({ bases, tar, xz, folder }: ReturnType<typeof makeBases>): FuzzTarget[] {
  const withNext =
    (act: (next: Next) => unknown) =>
    async (seed: number): Promise<void> => {
      await act(randomFrom(seed));
    };
  return [
    { name: "qcow2 by ranges", run: withNext((next) => pourAll(ranged(spoiledQcow2(next)))) },
    { name: "qcow2 in a stream", run: withNext((next) => pourAll(bytesSource(spoiledQcow2(next)))) },
    ...[...bases].map(([format, base]) => ({
      name: format as string,
      run: withNext((next) => walkSpoiled(format, base, folder, next)),
    })),
    { name: "xz side by side", run: withNext((next) => unpackSpoiledXz(xz, next)) },
    { name: "tar", run: withNext((next) => walkSpoiledTar(tar, next)) },
    { name: "ranges, redirects, proxies, addresses", run: withNext(readTexts) },
  ];
}

export const removeBases = ({ folder }: { folder: string }): void => rmSync(folder, { recursive: true, force: true });

/** @returns what is wrong with how it ended; undefined for success and for a fault of the catalog */
export async function complaintOf(target: FuzzTarget, seed: number): Promise<string | undefined> {
  try {
    await target.run(seed);
    return undefined;
  } catch (cause) {
    if (cause instanceof Fault && cause.code !== "Unclassified") return undefined;
    return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  }
}
