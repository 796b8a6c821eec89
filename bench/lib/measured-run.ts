// Runs one command in control groups of its own (cgroup v1) and says what it cost: wall time, processor seconds with all its
// children, anonymous memory, bytes written. The limits of the default importer pod are set on the same groups.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";

/** Limits of the default importer pod; undefined for none. */
export type Limits = "pod" | undefined;

/** 750m CPU and 600M memory: what upstream's configuration gives an importer. */
const podQuotaUs = 75_000;
const podMemoryBytes = 600_000_000;
const sampleMs = 50;

export interface Cost {
  wallSeconds: number;
  /** User and system time of everything that ran. */
  cpuSeconds: number;
  /** Peak of the sum over all processes, sampled. */
  rssAnonBytes: number;
  rssBytes: number;
  /** What the processes sent to the storage layer (write_bytes of /proc/PID/io, waited-for children in it). */
  writtenBytes: number;
  /** Standard output. */
  output: string;
}

const groups = { cpu: "/sys/fs/cgroup/cpu", time: "/sys/fs/cgroup/cpuacct", memory: "/sys/fs/cgroup/memory" } as const;

/** Why nothing can be measured here; undefined when it can. */
export function noGroups(): string | undefined {
  if (process.getuid?.() !== 0) return "control groups need root";
  try {
    for (const folder of Object.values(groups)) readFileSync(`${folder}/cgroup.procs`);
    return undefined;
  } catch (cause) {
    return `no cgroup v1 here: ${String(cause)}`;
  }
}

/**
 * Joins the groups, runs the rest of its words, and tells its own /proc/PID/io: the kernel adds a child's counts to the
 * parent's when the child is waited for, so that nothing is lost between two samples.
 */
const wrapper = `
for group in $GROUPS_TO_JOIN; do echo $$ > $group/cgroup.procs || exit 99; done
unset GROUPS_TO_JOIN
"$@" 3>&-
status=$?
cat /proc/$$/io >&3
exit $status`;

let serial = 0;

/** @throws when the command fails, with the end of what it said */
export async function measure(words: readonly string[], limits: Limits, env: NodeJS.ProcessEnv = {}): Promise<Cost> {
  const name = `cdi-bench-${process.pid}-${(serial += 1)}`;
  const own = Object.fromEntries(Object.entries(groups).map(([key, folder]) => [key, `${folder}/${name}`])) as Record<
    keyof typeof groups,
    string
  >;
  for (const folder of Object.values(own)) mkdirSync(folder);
  try {
    if (limits === "pod") {
      writeFileSync(`${own.cpu}/cpu.cfs_period_us`, "100000");
      writeFileSync(`${own.cpu}/cpu.cfs_quota_us`, String(podQuotaUs));
      writeFileSync(`${own.memory}/memory.limit_in_bytes`, String(podMemoryBytes));
    }
    const begun = performance.now();
    const child = spawn("/bin/sh", ["-c", wrapper, "sh", ...words], {
      env: { PATH: process.env.PATH, ...env, GROUPS_TO_JOIN: Object.values(own).join(" ") },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    const peaks = { rssAnonBytes: 0, rssBytes: 0 };
    const sampling = setInterval(() => samplePeaks(own.memory, peaks), sampleMs);
    const [, out, error, io] = child.stdio.map((stream) => collect(stream as Readable | null));
    const [status] = (await once(child, "exit")) as [number | null];
    const wallSeconds = (performance.now() - begun) / 1000;
    clearInterval(sampling);
    if (status !== 0) throw new Error(`${words.join(" ")} ended with status ${status}: ${await error}`);
    return {
      wallSeconds,
      cpuSeconds: Number(readFileSync(`${own.time}/cpuacct.usage`, "utf8")) / 1e9,
      ...peaks,
      writtenBytes: Number(/^write_bytes: (\d+)/m.exec((await io) ?? "")?.[1]),
      output: (await out) ?? "",
    };
  } finally {
    for (const folder of Object.values(own)) await removeGroup(folder);
  }
}

async function collect(stream: Readable | null): Promise<string> {
  let text = "";
  for await (const piece of stream?.setEncoding("utf8") ?? []) text += piece as string;
  return text;
}

function samplePeaks(group: string, peaks: { rssAnonBytes: number; rssBytes: number }): void {
  let anonKib = 0;
  let allKib = 0;
  for (const pid of readFileSync(`${group}/cgroup.procs`, "utf8").split("\n").filter(Boolean)) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      anonKib += Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      allKib += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    } catch {
      continue; // it ended between the list and the look
    }
  }
  peaks.rssAnonBytes = Math.max(peaks.rssAnonBytes, anonKib * 1024);
  peaks.rssBytes = Math.max(peaks.rssBytes, allKib * 1024);
}

/** The kernel takes a moment to see that a group is empty. */
async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return rmdirSync(folder);
    } catch (cause) {
      if (attempt === 50) throw cause;
      await pause(20);
    }
  }
}
