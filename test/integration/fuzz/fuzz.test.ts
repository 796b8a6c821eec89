// Fuzzing, structure-aware: a minute here, ten with CDI_TEST_LONG=1. Nothing but faults of the catalog, no input that takes for
// ever, and no memory that is not given back. A failure prints the target and the seed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type * as Koffi from "koffi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findTool } from "../../../src/datapath/child.ts";
import { complaintOf, fuzzTargets, makeBases, removeBases, type FuzzTarget } from "../../support/fuzz-targets.ts";

const seconds = process.env.CDI_TEST_LONG ? 600 : 60;
const first = Number(process.env.CDI_TEST_SEED ?? Date.now() % 1_000_000_000);
/** No input of these sizes takes an honest parser so long, on a machine however busy. */
const longestMs = 30_000;
const mostGrowthBytes = 32 * 1024 * 1024;
const absent = findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)";

setFlagsFromString("--expose-gc");
/** To the last byte: an ordinary collection leaves V8 the young space it grew to, tens of MiB more or less. */
const collect = runInNewContext(`() => gc({ type: "major", execution: "sync", flavor: "last-resort" })`) as () => void;

const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
const giveBackFreed = koffi.load(null).func("int malloc_trim(size_t pad)") as (pad: number) => number;

/**
 * The least of several looks: V8 gives the pages of what it collected back behind the collection, over a few turns. And malloc
 * keeps what was freed below a piece still in use - 100 MiB at times, one size of image more or less: its free pages go back
 * first, so that what is left is memory that somebody holds.
 */
async function residentBytes(): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 5; look += 1) {
    collect();
    await pause(100);
    giveBackFreed(0);
    least = Math.min(least, process.memoryUsage().rss);
  }
  return least;
}

describe.skipIf(absent)(`hostile bytes by chance${absent ? `: ${absent}` : ""}`, () => {
  let bases: ReturnType<typeof makeBases>;
  let targets: FuzzTarget[];
  beforeAll(() => {
    bases = makeBases();
    targets = fuzzTargets(bases);
  });
  afterAll(() => removeBases(bases));

  test("what once found something finds nothing any more", async () => {
    const path = join(import.meta.dirname, "../../../fixtures/fuzz/regressions.json");
    const rows = JSON.parse(readFileSync(path, "utf8")) as { target: string; seed: number }[];
    for (const { target: name, seed } of rows) {
      const target = targets.find((one) => one.name === name);
      expect(target && (await complaintOf(target, seed)), `${name}, seed ${seed}`).toBeUndefined();
    }
  });

  test(
    `for ${seconds} s from seed ${first}`,
    async () => {
      const startedMs = Date.now();
      const tries = new Map<string, number>();
      const found: string[] = [];
      let seed = first;
      let settledBytes: number | undefined;
      for (; Date.now() - startedMs < seconds * 1000 && found.length < 5; seed += 1) {
        for (const target of targets) {
          const beganMs = Date.now();
          const complaint = await complaintOf(target, seed);
          const tookMs = Date.now() - beganMs;
          if (complaint !== undefined) found.push(`${target.name}, seed ${seed}: ${complaint}`);
          if (tookMs > longestMs) found.push(`${target.name}, seed ${seed}: took ${tookMs} ms`);
          tries.set(target.name, (tries.get(target.name) ?? 0) + 1);
        }
        // The first minute fills caches and pools; a run of no more says nothing of memory.
        if (Date.now() - startedMs > 60_000) settledBytes ??= await residentBytes();
      }
      const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
      if (settledBytes)
        console.log(`fuzz: ${mib(settledBytes)} MiB after a minute, ${mib(await residentBytes())} at the end`);
      console.log(`fuzz: seeds ${first} to ${seed}, ${JSON.stringify(Object.fromEntries(tries))}`);
      expect(found).toEqual([]);
      expect(await residentBytes()).toBeLessThanOrEqual((settledBytes ?? Infinity) + mostGrowthBytes);
      for (const target of targets) expect(tries.get(target.name), target.name).toBeGreaterThan(10);
    },
    (seconds + 240) * 1000,
  );
});
