// Processes by pid and start time: what was recorded can be found again after a crash, and nothing else is ever killed.
import { readFile, readdir, readlink, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessRecord {
  /** Also its process group and session. */
  pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  startTime: string;
  bootId: string;
}

interface Stat {
  state: string;
  session: number;
  startTime: string;
}

/** @returns undefined when there is no such process */
async function statOf(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined); // gone
  if (text === undefined) return undefined;
  // The command's name may hold anything, brackets and blanks too: the fields start after its last bracket.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", session: Number(fields[3]), startTime: fields[19] ?? "" };
}

/** @returns field 22 of its stat; undefined when there is no such process */
export const startTimeOf = async (pid: number): Promise<string | undefined> => (await statOf(pid))?.startTime;

const bootId = async (): Promise<string> => (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();

/** @returns undefined when the process is gone already */
export async function recordProcess(pid: number, file: string): Promise<ProcessRecord | undefined> {
  const stat = await statOf(pid);
  if (!stat) return undefined;
  const record = { pid, startTime: stat.startTime, bootId: await bootId() };
  await writeFile(`${file}.new`, JSON.stringify(record));
  await rename(`${file}.new`, file);
  return record;
}

export async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined); // none was written
  if (text === undefined) return undefined;
  try {
    const { pid, startTime, bootId: boot } = JSON.parse(text) as Partial<ProcessRecord>;
    return pid && startTime && boot ? { pid, startTime, bootId: boot } : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** The first child of a process: a container's parent has exactly one. */
export async function childOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => ""); // gone
  const child = Number.parseInt(text, 10);
  return Number.isNaN(child) ? undefined : child;
}

/** @returns false when there is nobody to signal */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw cause;
  }
}

/**
 * Members of a session that was ours: its leader is the one recorded, or (when the leader is dead) they work in a folder of
 * ours. A session's number is not given away while it has members.
 */
async function membersOf(record: ProcessRecord, folder: string): Promise<number[]> {
  if (record.bootId !== (await bootId())) return [];
  const leader = await statOf(record.pid);
  if (leader && leader.startTime !== record.startTime) return [];
  const members: number[] = [];
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = await statOf(pid);
    if (!stat || stat.session !== record.pid || stat.state === "Z") continue;
    const cwd = leader ? folder : await readlink(`/proc/${pid}/cwd`).catch(() => ""); // gone, or another user's
    if (cwd === folder || cwd.startsWith(`${folder}/`)) members.push(pid);
  }
  return members;
}

/** Ends what is left of a recorded process and its children. @returns how many were alive */
export async function endLeftovers(record: ProcessRecord, folder: string): Promise<number> {
  const found = await membersOf(record, folder);
  for (const pid of found) signal(pid, "SIGKILL");
  // They are nobody's children here, so no exit is told: look until they are gone (a killed process may finish its I/O).
  for (let tries = 0; tries < 500 && (await membersOf(record, folder)).length > 0; tries += 1) await sleep(10);
  return found.length;
}
