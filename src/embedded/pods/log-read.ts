// What `kubectl logs` reads: the lines of a container instance, cut to what was asked, followed while it runs.
import { once } from "node:events";
import { open, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { KubeError } from "../../kube/index.ts";
import type { LogOptions } from "../types.ts";
import { turnedOver, type LogWriter } from "./log-file.ts";

export const logPath = (folder: string, instance: number): string => join(folder, `${instance}.log`);

/** Numbers of the instances that have a log, newest first. */
export async function instancesIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []); // nothing started yet
  return names
    .filter((name) => /^\d+\.log$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => b - a);
}

/** @param writer the open log, where the instance still runs */
export async function* readLog(
  path: string,
  options: LogOptions,
  writer: LogWriter | undefined,
  nowMs: number,
): AsyncIterable<Uint8Array> {
  let left = options.limitBytes ?? Infinity;
  const sinceMs = options.sinceSeconds === undefined ? -Infinity : nowMs - options.sinceSeconds * 1000;
  const shown = (line: string): string => (options.timestamps ? line : line.slice(line.indexOf(" ") + 1));
  const cut = (text: string): Buffer => {
    const bytes = Buffer.from(text).subarray(0, left === Infinity ? undefined : left);
    left -= bytes.length;
    return bytes;
  };

  const older = await readFile(turnedOver(path), "utf8").catch(() => ""); // not turned over
  const current = await readFile(path);
  let lines = `${older}${current.toString("utf8")}`.split("\n");
  lines.pop();
  lines = lines.filter((line) => Date.parse(line.slice(0, line.indexOf(" "))) >= sinceMs);
  if (options.tailLines !== undefined) lines = options.tailLines === 0 ? [] : lines.slice(-options.tailLines);
  if (lines.length > 0) yield cut(lines.map((line) => `${shown(line)}\n`).join(""));
  if (!options.follow || !writer) return;

  let at = current.lastIndexOf(10) + 1;
  let rest = "";
  while (left > 0 && !options.signal.aborted) {
    const ended = !writer.isOpen;
    const { bytes, size } = await readFrom(path, at);
    if (size < at) {
      at = 0; // turned over: the new file is read from its start
      continue;
    }
    at += bytes.length;
    const fresh = (rest + bytes.toString("utf8")).split("\n");
    rest = fresh.pop() ?? "";
    if (fresh.length > 0) yield cut(fresh.map((line) => `${shown(line)}\n`).join(""));
    if (ended) return;
    if (bytes.length === 0) await somethingNew(writer, options.signal);
  }
}

async function readFrom(path: string, at: number): Promise<{ bytes: Buffer; size: number }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.max(0, Math.min(size - at, 1 << 20)));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
    return { bytes: bytes.subarray(0, bytesRead), size };
  } finally {
    await file.close();
  }
}

/** A write or the end; ends early, without error, when the reader has left. */
async function somethingNew({ news, isOpen }: LogWriter, signal: AbortSignal): Promise<void> {
  if (!isOpen) return;
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  await Promise.race([once(news, "line", { signal: either }), once(news, "end", { signal: either })]).catch(
    (cause: unknown) => {
      if (!signal.aborted) throw cause;
    },
  );
  done.abort();
}

export const noSuchLog = (message: string): KubeError => new KubeError(400, "BadRequest", message);
