// Medians, ratios pair by pair, and the table and JSON file a bench ends with.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cost } from "./measured-run.ts";

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of ratios of runs that stood side by side: a machine that is slow for a minute slows both. */
export const ratioOf = (ours: readonly number[], theirs: readonly number[]): number =>
  median(ours.map((value, index) => value / (theirs[index] ?? Number.NaN)));

/**
 * Who comes first changes from turn to turn. What one way leaves behind (memory that a virtual machine's host takes back, blocks to
 * discard) is the next one's to pay: seen were conversions of 0.3 and of 2 s that differed in nothing else.
 */
export const inTurn = <T>(turn: number, ways: readonly T[]): readonly T[] =>
  turn % 2 === 0 ? ways : ways.toReversed();

/** Medians of one way of doing the work; MiB. */
export interface Medians {
  wallSeconds: number;
  cpuSeconds: number;
  rssAnonMiB: number;
  rssMiB: number;
  writtenMiB: number;
}

export const mediansOf = (costs: readonly Cost[]): Medians => ({
  wallSeconds: round(median(costs.map(({ wallSeconds }) => wallSeconds))),
  cpuSeconds: round(median(costs.map(({ cpuSeconds }) => cpuSeconds))),
  rssAnonMiB: mib(median(costs.map(({ rssAnonBytes }) => rssAnonBytes))),
  rssMiB: mib(median(costs.map(({ rssBytes }) => rssBytes))),
  writtenMiB: mib(median(costs.map(({ writtenBytes }) => writtenBytes))),
});

export const mib = (bytes: number): number => Math.round(bytes / 1024 ** 2);
export const round = (value: number): number => Math.round(value * 1000) / 1000;

/** Writes `<name>.json` into the cache and prints the rows. */
export function report(cache: string, name: string, machine: object, rows: readonly object[]): void {
  writeFileSync(join(cache, `${name}.json`), `${JSON.stringify({ bench: name, ...machine, rows }, undefined, 2)}\n`);
  console.table(
    rows.map((row) => Object.fromEntries(Object.entries(row).filter(([, cell]) => typeof cell !== "object"))),
  );
}
