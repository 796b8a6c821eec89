// What this process has started and not yet seen the end of.
import { readdirSync, readFileSync } from "node:fs";

/** @returns the command names of this process's living children, sorted */
export function livingChildren(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const [, command = "", state, parent] = /^\d+ \((.*)\) (\S) (\d+) /s.exec(statOf(pid)) ?? [];
      return Number(parent) === process.pid && state !== "Z" ? [command] : [];
    })
    .toSorted();
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It ended between the two looks.
    return "";
  }
}
