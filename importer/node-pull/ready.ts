// Waits until the image server has written its ready file, or has said why there will be none.
import { open, type FileHandle } from "node:fs/promises";
import { failureFileOf } from "../../src/contract/node-pull.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { seconds } from "../../src/lib/duration.ts";
import { Fault, FAULTS, type FaultCode } from "../../src/lib/faults.ts";

export interface ServerReady {
  /** The disk's file name in the image: a stranger's, and a plain name all the same. */
  readonly fileName: string;
  /** Changes with each start of the server. */
  readonly since: string;
}

export interface ReadyWait {
  /** Where it lies here. */
  readonly path: string;
  /** As the pod was told, for messages. */
  readonly shownPath: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Upstream looks 60 times, a second apart. */
const limitMs = seconds(60);
const lookEveryMs = 250;
/** Longer than any file name, and than any failure worth reading. */
const longestBytes = 8192;

/** @throws Fault ImageNotServed when it does not come, else the server's own fault; the signal's reason */
export async function serverReady(wait: ReadyWait): Promise<ServerReady> {
  const { path, shownPath, clock, signal } = wait;
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const failure = await readStart(failureFileOf(path));
    if (failure) throw faultFrom(failure.text);
    const ready = await readStart(path);
    // A server that writes without renaming is seen before it has written.
    if (ready && ready.text !== "") return { fileName: plainName(ready.text, shownPath), since: ready.since };
    if (waitedMs >= limitMs) throw new Fault("ImageNotServed", `Timeout waiting for file ${shownPath}`);
    await clock.sleep(lookEveryMs, signal);
  }
}

function plainName(text: string, shownPath: string): string {
  if (!text.includes("/") && !text.includes("\0") && text !== "." && text !== "..") return text;
  throw new Fault("ImageNotServed", `${shownPath} holds ${JSON.stringify(text.slice(0, 100))}, which is no file name`);
}

interface Start {
  readonly text: string;
  readonly since: string;
}

/** @returns undefined where there is no such file yet */
async function readStart(path: string): Promise<Start | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Fault("ImageNotServed", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const { ino, mtimeNs } = await file.stat({ bigint: true });
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(longestBytes), position: 0 });
    return { text: buffer.toString("utf8", 0, bytesRead), since: `${ino} ${mtimeNs}` };
  } finally {
    await file.close();
  }
}

/** What the server wrote; from inside a stranger's image, so nothing in it is taken for granted. */
function faultFrom(text: string): Fault {
  const said = parsed(text);
  const message = said?.["message"];
  const shown = typeof message === "string" && message !== "" ? message.slice(0, 1000) : "no reason was told";
  return new Fault(isCode(said?.["code"]) ? said["code"] : "ImageNotServed", shown);
}

const isCode = (word: unknown): word is FaultCode => typeof word === "string" && Object.hasOwn(FAULTS, word);

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}
