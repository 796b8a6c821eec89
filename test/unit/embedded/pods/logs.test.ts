// A container's log on disk: bounded, and read while it grows.
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLog, turnedOver } from "../../../../src/embedded/pods/log-file.ts";
import { readLog } from "../../../../src/embedded/pods/log-read.ts";
import type { LogOptions } from "../../../../src/embedded/types.ts";

let folder = "";
let time = Date.UTC(2026, 0, 1, 12);
const clock = { now: () => time, sleep: async () => undefined };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cdi-log-"));
});
afterEach(() => rm(folder, { recursive: true }));

const plain: LogOptions = { follow: false, previous: false, timestamps: false, signal: new AbortController().signal };
async function read(path: string, options: Partial<LogOptions> = {}): Promise<string> {
  let text = "";
  for await (const bytes of readLog(path, { ...plain, ...options }, undefined, time))
    text += Buffer.from(bytes).toString();
  return text;
}

test("lines cut anywhere arrive whole, the last without its end too", async () => {
  const path = join(folder, "0.log");
  const log = await openLog(path, clock);
  const out = new PassThrough();
  log.copy(out);
  for (const piece of ["on", "e\ntw", "o\nthree"]) out.write(piece);
  out.end();
  await log.ended();
  expect(await read(path)).toBe("one\ntwo\nthree\n");
  expect(await read(path, { tailLines: 2 })).toBe("two\nthree\n");
  expect(await read(path, { tailLines: 0 })).toBe("");
  expect(await read(path, { limitBytes: 5 })).toBe("one\nt");
  expect(await read(path, { timestamps: true, tailLines: 1 })).toBe("2026-01-01T12:00:00.000000000Z three\n");
  time += 60_000;
  expect(await read(path, { sinceSeconds: 30 })).toBe("");
});

test("a full file is turned over, two are kept", async () => {
  const path = join(folder, "0.log");
  const log = await openLog(path, clock, 1000);
  const out = new PassThrough();
  log.copy(out);
  for (let index = 0; index < 100; index += 1) {
    out.write(`line ${index}\n`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  out.end();
  await log.ended();
  expect((await readdir(folder)).sort()).toEqual(["0.log", "0.log.1"]);
  expect((await stat(path)).size).toBeLessThanOrEqual(1000);
  expect((await stat(turnedOver(path))).size).toBeLessThanOrEqual(1000);
  expect(await read(path)).toMatch(/line 98\nline 99\n$/);
});
