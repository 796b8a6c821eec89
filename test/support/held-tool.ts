// A system tool that waits to be looked at before it begins, so that a test that watches processes sees even the shortest run.
// It stands in the tool's place in a mount namespace of the program under test alone. Root only.
import { execFile } from "node:child_process";
import { chmod, copyFile, writeFile } from "node:fs/promises";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { requireTool } from "../../src/datapath/index.ts";
import { makeFolder, type AtEnd } from "./loop.ts";

const run = promisify(execFile);
/** A folder every Debian has and nobody reads: embedded pods see all of /usr. */
const seenAs = "/usr/src";

export interface HeldTool {
  /** Goes before the program's command line. */
  readonly prefix: string[];
  /** Lets one that waits begin; does nothing when none does. */
  release(): void;
}

export async function holdTool(name: string, atEnd?: AtEnd): Promise<HeldTool> {
  const tool = requireTool(name);
  const place = await makeFolder("cdi-held-", atEnd);
  const [real, gate, held] = [join(place, "real"), join(place, "gate"), join(place, "held")];
  await copyFile(tool, real);
  await run("mkfifo", [gate]);
  await writeFile(held, `#!/bin/sh\nread -r go < ${seenAs}/gate\nexec ${seenAs}/real "$@"\n`);
  for (const path of [place, real, held]) await chmod(path, 0o755);
  await chmod(gate, 0o666);
  const script = `mount --bind "$1" ${seenAs} && mount --bind "$2" "$3" && shift 3 && exec "$@"`;
  return {
    prefix: ["unshare", "--mount", "sh", "-c", script, "sh", place, held, tool],
    release: () => openGate(gate),
  };
}

function openGate(gate: string): void {
  let file: number;
  try {
    file = openSync(gate, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENXIO") return; // nobody waits
    throw cause;
  }
  writeSync(file, "go\n");
  closeSync(file);
}
