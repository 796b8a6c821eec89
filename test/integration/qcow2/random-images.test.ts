// Random qcow2 images against qemu-img: the same disk by ranges, in a stream and from a file; and of a cut one never zeros
// in silence. CDI_TEST_LONG=1 tries 2,000 of them and counts what was in them.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { fileSource } from "../../../importer/sources/index.ts";
import { findTool, importImage, newProgress, type ImportJob, type Source } from "../../../src/datapath/index.ts";
import { faultOf } from "../../../src/lib/faults.ts";
import { EntryHeap } from "../../../src/datapath/qcow2/entry-heap.ts";
import { neededL1Entries, readHeader } from "../../../src/datapath/qcow2/header.ts";
import { HostPass } from "../../../src/datapath/qcow2/host-pass.ts";
import { KeptBytes } from "../../../src/datapath/qcow2/kept-bytes.ts";
import { LateBytes } from "../../../src/datapath/qcow2/late-bytes.ts";
import { planStream } from "../../../src/datapath/qcow2/ranged-plan.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { bytesSource } from "../../support/bring.ts";
import { makeFolder, type AtEnd } from "../../support/loop.ts";
import { memorySink, type MemorySink } from "../../support/memory-sink.ts";
import { features, randomFrom, randomQcow2, type Feature } from "../../support/random-qcow2.ts";

const isLong = process.env["CDI_TEST_LONG"] === "1";
const count = isLong ? 2000 : 200;
const first = Number(process.env["CDI_TEST_SEED"] ?? 1);
const perTest = 50;
/** For fifty of them on a busy machine. */
const patienceMs = 240_000;
const absent = findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)";
const run = promisify(execFile);

let folder: string;
const seen = new Map<Feature, number>();
const roads = new Map<string, number>();

/** With ranges, without a file behind it. */
function rangedSource(bytes: Buffer): Source {
  return {
    ...bytesSource(bytes),
    facts: () => Promise.resolve({ sizeBytes: bytes.length, ranges: true, validator: '"1"' }),
    read(offset, into) {
      if (offset + into.length > bytes.length) throw new Error("read past the end");
      bytes.copy(into, 0, offset);
      return Promise.resolve();
    },
  };
}

async function imported(source: Source, virtualBytes: number, more: Partial<ImportJob> = {}): Promise<MemorySink> {
  const sink = memorySink(virtualBytes);
  const job: ImportJob = {
    source,
    sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
    ...more,
  };
  const outcome = await importImage(job);
  await source.close();
  if (outcome.kind !== "done") throw new Error(outcome.kind);
  roads.set(outcome.road, (roads.get(outcome.road) ?? 0) + 1);
  return sink;
}

/** A stream whose pass has room for next to nothing: what waits is in scratch, and tables are put off to the end. */
async function passedInNarrowness(image: Buffer, virtualBytes: number): Promise<MemorySink> {
  const header = readHeader(image);
  const sink = memorySink(virtualBytes);
  await sink.begin(header.virtualSizeBytes);
  const plan = new EntryHeap(header.clusterBytes, 64);
  planStream(plan, header.l1Offset, neededL1Entries(header));
  const kept = new KeptBytes({
    scratch: { dir: folder, fileName: "kept" },
    onScratch: () => undefined,
    memoryBytes: 8192,
  });
  const readPlaced = sink.read?.bind(sink);
  const scratchUse = new LateBytes({ kept, readPlaced });
  // Odd pieces in one buffer, which is overwritten by the next: nobody may look at an old one.
  const piece = Buffer.alloc(70_001);
  let at = 0;
  const next = (): Promise<Buffer | undefined> => {
    const length = image.copy(piece, 0, at, at + piece.length);
    at += length;
    return Promise.resolve(length > 0 ? piece.subarray(0, length) : undefined);
  };
  const { signal } = new AbortController();
  const place = (guest: number, bytes: Buffer): Promise<void> => sink.write(guest, bytes);
  try {
    await new HostPass({ header, input: { next }, plan, late: scratchUse, signal, place }).run();
  } finally {
    await kept.close();
  }
  await sink.commit();
  return sink;
}

async function byQemu(path: string): Promise<Buffer> {
  const raw = `${path}.raw`;
  await run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, raw]);
  const disk = await readFile(raw);
  await rm(raw);
  return disk;
}

const shown = (seed: number, where: string, what: string): string => `seed ${seed}, ${where}: ${what}`;

async function differencesOf(seed: number): Promise<string[]> {
  const { image, virtualBytes, features: has } = randomQcow2(seed);
  for (const feature of has) seen.set(feature, (seen.get(feature) ?? 0) + 1);
  const path = join(folder, `${seed}.qcow2`);
  await writeFile(path, image);
  const expected = await byQemu(path);
  const md5 = createHash("md5").update(image).digest("hex");
  const ways: Record<string, () => Promise<MemorySink>> = {
    "by ranges": () => imported(rangedSource(image), virtualBytes),
    "by ranges, checked": () => imported(rangedSource(image), virtualBytes, { checksum: `md5:${md5}` }),
    "in a stream": () => imported(bytesSource(image), virtualBytes),
    "in a stream, checked": () => imported(bytesSource(image), virtualBytes, { checksum: `md5:${md5}` }),
    "in a stream, in narrowness": () => passedInNarrowness(image, virtualBytes),
    "from a file": () => imported(fileSource(path), virtualBytes),
  };
  const wrong: string[] = [];
  for (const [where, way] of Object.entries(ways)) {
    const sink = await way().catch((cause: unknown) => cause);
    if (sink instanceof Error) wrong.push(shown(seed, where, sink.message));
    else if (!(sink as MemorySink).disk().equals(expected)) wrong.push(shown(seed, where, "other bytes"));
  }
  await rm(path);
  return wrong;
}

/** Cut anywhere: a fault, or what qemu-img says where only the end of the last cluster is missing. */
async function silentZerosOf(seed: number): Promise<string[]> {
  const { image, virtualBytes } = randomQcow2(seed);
  const whole = join(folder, `whole-${seed}.qcow2`);
  const path = join(folder, `cut-${seed}.qcow2`);
  await writeFile(whole, image);
  const cut = image.subarray(0, 1 + randomFrom(seed)(image.length - 1));
  await writeFile(path, cut);
  const ways = {
    "by ranges": () => imported(rangedSource(cut), virtualBytes),
    "in a stream": () => imported(bytesSource(cut), virtualBytes),
    "from a file": () => imported(fileSource(path), virtualBytes),
  };
  const wrong: string[] = [];
  const expected = await byQemu(whole);
  for (const [where, way] of Object.entries(ways)) {
    const sink = await way().catch((cause: unknown) => cause);
    if (sink instanceof Error) {
      const { code } = faultOf(sink);
      const known = ["ImageTruncated", "ImageCorrupt", "ImageTooShort", "NotAnImage"];
      if (!known.includes(code)) wrong.push(shown(seed, where, `${code}: ${sink.message}`));
      continue;
    }
    const disk = (sink as MemorySink).disk();
    if (disk.equals(expected)) continue;
    const isAsQemu = disk.equals(await byQemu(path).catch(() => Buffer.alloc(0)));
    if (!isAsQemu || !isOnlyItsEnd(disk, expected, image, cut.length)) wrong.push(shown(seed, where, "data is lost"));
  }
  await Promise.all([whole, path].map((one) => rm(one, { force: true })));
  return wrong;
}

/** Whether all that differs lay behind the cut in the one cluster that was cut. */
function isOnlyItsEnd(disk: Buffer, expected: Buffer, image: Buffer, cutBytes: number): boolean {
  const clusterBytes = 2 ** image.readUInt32BE(20);
  const begin = cutBytes - (cutBytes % clusterBytes);
  for (let at = 0; at < expected.length; at += 512) {
    const wanted = expected.subarray(at, at + 512);
    if (disk.subarray(at, at + 512).equals(wanted)) continue;
    const host = begin + (at % clusterBytes);
    // The whole image may itself end within the cluster: zeros follow there.
    const there = Buffer.alloc(wanted.length);
    image.copy(there, 0, host, host + wanted.length);
    if (host + 512 <= cutBytes || !there.equals(wanted)) return false;
  }
  return true;
}

const batches = Array.from({ length: count / perTest }, (_, index) => first + index * perTest);
const seedsOf = (from: number): number[] => Array.from({ length: perTest }, (_, index) => from + index);

describe.skipIf(absent)(`random images${absent ? `: ${absent}` : ""}`, { timeout: patienceMs }, () => {
  beforeAll(async () => {
    const releases: (() => Promise<void>)[] = [];
    const atEnd: AtEnd = (release) => void releases.push(release);
    folder = await makeFolder("cdi-random-", atEnd);
    return async () => {
      for (const release of releases) await release();
    };
  });

  test.for(batches)("seeds from %i are the disks qemu-img makes of them", async (from) => {
    const wrong: string[] = [];
    for (const seed of seedsOf(from)) wrong.push(...(await differencesOf(seed)));
    expect(wrong).toEqual([]);
  });

  test.for(batches.filter((_, index) => index % 2 === 0))(
    "seeds from %i, cut, never read as zeros in silence",
    async (from) => {
      const wrong: string[] = [];
      for (const seed of seedsOf(from)) wrong.push(...(await silentZerosOf(seed)));
      expect(wrong).toEqual([]);
    },
  );

  test("each feature is in enough of them", () => {
    const atLeast = count / 40;
    console.log(
      `seeds ${first} to ${first + count - 1}:`,
      features.map((one) => `${one} ${seen.get(one) ?? 0}`).join(", "),
    );
    const rare = features
      .filter((feature) => (seen.get(feature) ?? 0) < atLeast)
      .map((one) => `${one}: ${seen.get(one) ?? 0}`);
    expect(rare).toEqual([]);
    // Whatever the source, none of them needs another road.
    expect([...roads.keys()]).toEqual(["one-pass"]);
  });
});
