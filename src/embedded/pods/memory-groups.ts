// Memory limits of containers: a memory cgroup around each container's processes, where this machine lets us make one. It
// works with cgroup v1's memory controller and, as root of the machine, with v2. A group lives as long as its container.
import { randomInt } from "node:crypto";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "../../lib/log.ts";
import { startTimeOf } from "./processes.ts";

export interface MemoryGroup {
  /** A process that writes "0" here is in the group, with all it starts later. */
  readonly joinFile: string;
  /** Did the kernel kill one of its processes for want of memory? */
  wasKilled(): Promise<boolean>;
  /** Once its processes are dead. */
  remove(): Promise<void>;
}

export interface MemoryGroups {
  /** @returns undefined where no group can be made: the container then runs without a limit, and the log says so once */
  make(name: string, limitBytes: number): Promise<MemoryGroup | undefined>;
  close(): Promise<void>;
}

/** What the two versions call things. */
interface Flavour {
  limit: string;
  /** Holds a line "oom_kill N". */
  kills: string;
  /** Written before the first process, where it exists: all of the group die together. */
  together?: string;
}
const v1: Flavour = { limit: "memory.limit_in_bytes", kills: "memory.oom_control" };
const v2: Flavour = { limit: "memory.max", kills: "memory.events", together: "memory.oom.group" };

export interface GroupsOptions {
  log: Log;
  /** For tests; found in /proc by default. */
  place?: { dir: string; version: 1 | 2 } | undefined;
}

/** Groups are named by this process, so that the next start of any node can tell those nobody owns any more. */
const prefix = "cdi-embedded-";

export async function openMemoryGroups({ log, place }: GroupsOptions): Promise<MemoryGroups> {
  const found = place ?? (await findPlace());
  const own = `${prefix}${process.pid}-${(await startTimeOf(process.pid)) ?? "0"}-${randomInt(2 ** 31)}`;
  let isMissing = false;
  let made = 0;
  const missing = (cause: unknown): undefined => {
    if (!isMissing) log.info("Pods run without memory limits: no memory cgroup can be made here", { cause });
    isMissing = true;
    return undefined;
  };
  if (found) await sweep(found.dir);
  return {
    async make(name, limitBytes) {
      if (!found) return missing("no memory controller");
      const flavour = found.version === 1 ? v1 : v2;
      // A name is taken once more when the container starts again before the last group is gone.
      const dir = join(found.dir, own, `${name}-${(made += 1)}`);
      try {
        await mkdir(join(found.dir, own)).catch((cause: NodeJS.ErrnoException) => {
          if (cause.code !== "EEXIST") throw cause;
        });
        if (found.version === 2) await writeFile(join(found.dir, own, "cgroup.subtree_control"), "+memory");
        await mkdir(dir);
        await writeFile(join(dir, flavour.limit), String(limitBytes));
        if (flavour.together) await writeFile(join(dir, flavour.together), "1");
      } catch (cause) {
        await removeGroup(dir);
        return missing(cause);
      }
      return {
        joinFile: join(dir, "cgroup.procs"),
        async wasKilled() {
          const text = await readFile(join(dir, flavour.kills), "utf8");
          return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
        },
        remove: () => removeGroup(dir),
      };
    },
    async close() {
      if (found) await removeGroup(join(found.dir, own));
    },
  };
}

const goneTries = 200;

/** Removes a group and those in it. A dead process leaves its group a moment after its exit was told. */
async function removeGroup(dir: string): Promise<void> {
  for (const inner of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (inner.isDirectory()) await removeGroup(join(dir, inner.name));
  }
  for (let tries = 1; ; tries += 1) {
    const code = await rmdir(dir).then(
      () => undefined,
      (cause: NodeJS.ErrnoException) => cause.code,
    );
    if (code !== "EBUSY" || tries === goneTries) return;
    await pause(10);
  }
}

/** Groups of nodes that were killed. */
async function sweep(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const [, pid, startTime] = /^cdi-embedded-(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (pid === undefined || (await startTimeOf(Number(pid))) === startTime) continue;
    await removeGroup(join(dir, name));
  }
}

async function findPlace(): Promise<GroupsOptions["place"]> {
  if (process.getuid?.() !== 0) return undefined;
  const [mounts, groups] = await Promise.all([
    readFile("/proc/self/mountinfo", "utf8"),
    readFile("/proc/self/cgroup", "utf8"),
  ]);
  // "36 25 0:31 /root /mount/point options - cgroup cgroup rw,memory"
  const rows = mounts.split("\n").map((line) => line.split(" "));
  const after = (row: string[], at: number): string => row[row.indexOf("-") + at] ?? "";
  const first = rows.find((row) => after(row, 1) === "cgroup" && after(row, 3).split(",").includes("memory"));
  if (first) {
    const path = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1] ?? "/";
    const [root = "/", point = ""] = first.slice(3);
    const inside = root !== "/" && path.startsWith(root) ? path.slice(root.length) : path;
    return { dir: join(point, inside), version: 1 };
  }
  // Beside the top of v2: below our own group there may be no other while we are in it.
  const point = rows.find((row) => after(row, 1) === "cgroup2")?.[4];
  if (point === undefined) return undefined;
  const given = await readFile(join(point, "cgroup.subtree_control"), "utf8").catch(() => "");
  return given.split(/\s+/).includes("memory") ? { dir: point, version: 2 } : undefined;
}
