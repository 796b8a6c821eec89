// Runs one command in control groups of its own (cgroup v1): a memory limit, a device that takes no more than so many bytes a
// second, and what the kernel counted meanwhile. Root only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";

const root = "/sys/fs/cgroup";
const sampleMs = 50;
const beginningMs = 3;
/** Written by a command that has begun with its disk. */
const begunBytes = 1024 * 1024;

/** Why nothing can be limited here; undefined when it can. */
export function noLimits(): string | undefined {
  if (process.getuid?.() !== 0) return "control groups need root";
  try {
    for (const kind of ["memory", "blkio"]) readFileSync(`${root}/${kind}/cgroup.procs`);
    return undefined;
  } catch (cause) {
    return `no cgroup v1 here: ${String(cause)}`;
  }
}

export interface LimitedRun {
  words: readonly string[];
  env?: Readonly<Record<string, string>>;
  memoryBytes?: number;
  /**
   * `major:minor`, and bytes a second it takes once the command has begun to write. Before that it is quick: the kernel
   * counts the emptying of a device as if all its bytes were written.
   */
  slowDevice?: { id: string; bytesPerSecond: number };
}

export interface Counted {
  status: number | null;
  stdout: string;
  stderr: string;
  oomKills: number;
  /** Peaks of the group's own counts, seen every 50 ms: pages not on the disk yet, and memory that is no file's. */
  dirtyBytes: number;
  anonBytes: number;
  /** Peak of the sum of the processes' RssAnon. */
  rssAnonBytes: number;
  /** What all processes sent to the storage layer. */
  writtenBytes: number;
}

/** The kernel adds a child's counts to its parent's when it is waited for: this shell tells them all at the end. */
const wrapper = `for group in $GROUPS_TO_JOIN; do echo $$ > $group/cgroup.procs || exit 99; done
unset GROUPS_TO_JOIN; "$@" 3>&-; status=$?; cat /proc/$$/io >&3; exit $status`;

let serial = 0;

export async function runLimited({ words, env = {}, memoryBytes, slowDevice }: LimitedRun): Promise<Counted> {
  const name = `cdi-test-${process.pid}-${(serial += 1)}`;
  const memory = `${root}/memory/${name}`;
  const blkio = `${root}/blkio/${name}`;
  // The kernel's own threads write back too, and they are in the root group.
  const slow = (bytesPerSecond: number): void => {
    if (!slowDevice) return;
    for (const group of [blkio, `${root}/blkio`])
      writeFileSync(`${group}/blkio.throttle.write_bps_device`, `${slowDevice.id} ${bytesPerSecond}`);
  };
  for (const group of [memory, blkio]) mkdirSync(group);
  try {
    if (memoryBytes !== undefined) writeFileSync(`${memory}/memory.limit_in_bytes`, String(memoryBytes));
    const child = spawn("/bin/sh", ["-c", wrapper, "sh", ...words], {
      env: { PATH: process.env.PATH, ...env, GROUPS_TO_JOIN: `${memory} ${blkio}` },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    const peaks = { dirtyBytes: 0, anonBytes: 0, rssAnonBytes: 0 };
    const sampling = setInterval(() => sample(memory, peaks), sampleMs);
    // Soon: until then it is as quick as it can be.
    const begin = (): void => {
      // Less may be the file system's own: the time of a file's first reading.
      if (!slowDevice || writtenBy(memory) < begunBytes) return;
      clearInterval(beginning);
      slow(slowDevice.bytesPerSecond);
    };
    const beginning = slowDevice && setInterval(begin, beginningMs);
    const ended = once(child, "exit") as Promise<[number | null]>;
    const [, stdout, stderr, io] = child.stdio.map((stream) => (stream ? text(stream as NodeJS.ReadableStream) : ""));
    const [status] = await ended.finally(() => [sampling, beginning].forEach((timer) => clearInterval(timer)));
    return {
      status,
      stdout: (await stdout) ?? "",
      stderr: (await stderr) ?? "",
      oomKills: Number(/^oom_kill (\d+)/m.exec(readFileSync(`${memory}/memory.oom_control`, "utf8"))?.[1]),
      ...peaks,
      writtenBytes: Number(/^write_bytes: (\d+)/m.exec((await io) ?? "")?.[1]),
    };
  } finally {
    slow(0);
    for (const group of [memory, blkio]) await removeGroup(group);
  }
}

const membersOf = (group: string): string[] =>
  readFileSync(`${group}/cgroup.procs`, "utf8").split("\n").filter(Boolean);

/** The sum of a number over the group's processes. */
function sumOf(group: string, file: string, pattern: RegExp): number {
  let sum = 0;
  for (const pid of membersOf(group)) {
    try {
      sum += Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
    } catch {
      continue; // it ended between the list and the look
    }
  }
  return sum;
}

const writtenBy = (group: string): number => sumOf(group, "io", /^write_bytes: (\d+)/m);

function sample(group: string, peaks: Pick<Counted, "dirtyBytes" | "anonBytes" | "rssAnonBytes">): void {
  const stat = readFileSync(`${group}/memory.stat`, "utf8");
  const count = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, "m").exec(stat)?.[1]);
  peaks.dirtyBytes = Math.max(peaks.dirtyBytes, count("dirty") + count("writeback"));
  peaks.anonBytes = Math.max(peaks.anonBytes, count("rss"));
  peaks.rssAnonBytes = Math.max(peaks.rssAnonBytes, sumOf(group, "status", /^RssAnon:\s+(\d+)/m) * 1024);
}

/** The kernel takes a moment to see that a group is empty. */
async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return rmdirSync(folder);
    } catch (cause) {
      if (attempt === 250) throw cause;
      await pause(20);
    }
  }
}
