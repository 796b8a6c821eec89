// The image server: checks the image it stands in, serves its disk, says so in the ready file, and ends on the done file.
import { access, rename, rm, writeFile } from "node:fs/promises";
import { failureFileOf, type ServerFailure } from "../src/contract/node-pull.ts";
import { additiveEnv } from "../src/contract/paths.ts";
import type { Clock } from "../src/lib/clock.ts";
import { faultOf, type Fault } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import { openDiskFile } from "./disk-file.ts";
import type { ServerFlags } from "./flags.ts";
import { listen, loopbacks } from "./listen.ts";
import { tellNode } from "./tell-node.ts";

export interface ServerSurroundings {
  readonly flags: Pick<ServerFlags, "port" | "imageDir" | "readyFile" | "doneFile">;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the image, "/" but in tests. */
  readonly root?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told the port once it answers. */
  readonly onListening?: (port: number) => void;
}

/** Between two looks for the done file, ms. */
const lookEveryMs = 1000;

/** As of a program that ends by SIGTERM. */
const stoppedExit = 143;

/** @returns the exit status: 0 once the done file was seen. What it cannot serve is told beside the ready file as well. */
export async function runImageServer(around: ServerSurroundings): Promise<number> {
  const { flags, log } = around;
  // Of an earlier start of this container.
  const stale = flags.readyFile === undefined ? [] : [flags.readyFile, failureFileOf(flags.readyFile)];
  for (const path of stale) await rm(path, { force: true });
  try {
    await serve(around);
    return 0;
  } catch (cause) {
    if (around.signal.aborted) return stoppedExit;
    const fault = faultOf(cause);
    log.error("The image cannot be served", { error: fault });
    if (flags.readyFile !== undefined) await tellFailure(flags.readyFile, fault);
    await tellNode(fault.message, around.env, log);
    return fault.row.exit;
  }
}

async function serve({ flags, env, root, clock, log, signal, onListening }: ServerSurroundings): Promise<void> {
  const { readyFile, doneFile } = flags;
  const file = await openDiskFile(flags.imageDir, root);
  try {
    const lines = Object.entries(env).map(([name, value]) => `${name}=${value ?? ""}`);
    const server = await listen(
      loopbacks(env[additiveEnv.podIp]),
      flags.port,
      { file, info: { env: lines, file: file.id } },
      log,
    );
    try {
      if (readyFile !== undefined) await place(readyFile, file.name);
      log.info("Serving", { file: file.name, sizeBytes: file.sizeBytes, port: server.port });
      onListening?.(server.port);
      while (doneFile === undefined || !(await isThere(doneFile))) await clock.sleep(lookEveryMs, signal);
      log.info("Ending: the importer is done");
      await rm(doneFile, { force: true });
      if (readyFile !== undefined) await rm(readyFile, { force: true });
    } finally {
      await server.close();
    }
  } finally {
    await file.handle.close();
  }
}

/** Written beside and renamed: who sees the file sees all of it. */
async function place(path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  await writeFile(beside, text, { mode: 0o600 });
  await rename(beside, path);
}

const tellFailure = async (readyFile: string, { code, message }: Fault): Promise<void> =>
  place(failureFileOf(readyFile), JSON.stringify({ code, message } satisfies ServerFailure));

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return false;
      throw cause;
    },
  );
