// Stands beside every cluster of a test from its start to its end, and looks for secrets where none may be: in what containers
// write and say last, in arguments of our programs and all they start, in the environment of the tools they start, in events
// and statuses, in what the programs print. A find fails the test that the cluster belongs to.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { markSightings, readOf } from "./secret-scan.ts";

const lookEveryMs = 250;

export interface Described {
  readonly where: string;
  readonly text: string;
}

export interface SecretWatch {
  /** Ends the watch. @throws naming each place, never the secret itself */
  end(last: readonly Described[]): void;
}

/** A command line with a program of ours in it: the program itself, or what starts it. */
const isOurs = (argv: string): boolean => /\/dist\/[\w-]+\.js\b/.test(argv);
/** A program of a pod. It may be given secrets in its environment; what it starts may not. (A cluster's own starts pods.) */
const isProgram = (argv: string): boolean =>
  /^\S*\bnode .*\/dist\/(importer|uploadserver|uploadproxy|apiserver|controller)\.js\b/.test(argv);

/**
 * @param dir folder of the cluster's state
 * @param rootPid the process that is looked at with its descendants
 */
export function watchForSecrets(dir: string, rootPid: number): SecretWatch {
  const found = new Set<string>();
  const seenBytes = new Map<string, number>();
  const note = (where: string, text: string): void => {
    for (const what of markSightings(text)) found.add(`${what} in ${where}`);
  };
  const look = (): void => {
    lookAtFiles(join(dir, "pods"), seenBytes, note);
    lookAtProcesses(rootPid, note);
  };
  const timer = setInterval(look, lookEveryMs).unref();
  return {
    end(last) {
      clearInterval(timer);
      look();
      for (const { where, text } of last) note(where, text);
      if (found.size > 0) throw new Error(`secrets where none may be:\n${[...found].join("\n")}`);
    },
  };
}

/** Logs and last messages; what a pod's volumes hold is theirs. */
function lookAtFiles(
  folder: string,
  seenBytes: Map<string, number>,
  note: (where: string, text: string) => void,
): void {
  for (const entry of listed(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "volumes" && entry.name !== "root") lookAtFiles(path, seenBytes, note);
      continue;
    }
    if (!entry.isFile()) continue;
    try {
      const { size, mtimeMs } = statSync(path);
      if (seenBytes.get(path) === size + mtimeMs) continue;
      seenBytes.set(path, size + mtimeMs);
      note(path, readFileSync(path, "utf8"));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause; // gone with its pod
    }
  }
}

function listed(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}

interface Process {
  readonly pid: number;
  readonly argv: string;
}

function lookAtProcesses(rootPid: number, note: (where: string, text: string) => void): void {
  const children = new Map<number, Process[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(readOf(name, "stat"))?.[1]);
    const one = { pid: Number(name), argv: readOf(name, "cmdline") };
    children.set(parent, [...(children.get(parent) ?? []), one]);
  }
  const visit = ({ pid, argv }: Process, below: { ours: boolean; program: boolean }): void => {
    const shown = argv.slice(0, 60).replace(/\S*S3CR3T\S*/g, "...");
    const ours = below.ours || isOurs(argv);
    if (ours) note(`arguments of ${shown}`, argv);
    if (below.program && !isOurs(argv)) note(`the environment of ${shown}`, readOf(String(pid), "environ"));
    for (const child of children.get(pid) ?? []) visit(child, { ours, program: below.program || isProgram(argv) });
  };
  visit({ pid: rootPid, argv: readOf(String(rootPid), "cmdline") }, { ours: false, program: false });
}
