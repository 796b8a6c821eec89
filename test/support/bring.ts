// One import in a test: from a file or from bytes, into a file system of its own with scratch beside it.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { fileSource } from "../../importer/sources/index.ts";
import {
  filesystemSink,
  importImage,
  newProgress,
  type ImportJob,
  type ImportOutcome,
  type Sink,
  type Source,
} from "../../src/datapath/index.ts";
import { faultOf } from "../../src/lib/faults.ts";
import { silentLog } from "../../src/lib/log.ts";
import { makeFolder } from "./loop.ts";
import { hastyClock } from "./test-clock.ts";

export interface Place {
  volume: string;
  scratch: string;
  sink: Sink;
  /** What lies in the target and in scratch. */
  left: () => Promise<string[]>;
  disk: () => Promise<Buffer>;
}

export async function makePlace(requestBytes?: number): Promise<Place> {
  const [volume, scratch] = [await makeFolder(), await makeFolder()];
  return {
    volume,
    scratch,
    sink: await filesystemSink({ folder: volume, requestBytes }),
    left: async () => (await Promise.all([readdir(volume), readdir(scratch)])).flat(),
    disk: () => readFile(join(volume, "disk.img")),
  };
}

/** @param more fields of the job; `scratch: "none"` takes the scratch space away */
export function bring(
  source: Source,
  place: Place,
  more: Omit<Partial<ImportJob>, "scratch"> & { scratch?: "none" } = {},
): Promise<ImportOutcome> {
  const { scratch, ...fields } = more;
  return importImage({
    source,
    sink: place.sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
    clock: hastyClock,
    ...(scratch === "none" ? {} : { scratch: { dir: place.scratch, fileName: "tmpimage" } }),
    ...fields,
  });
}

/** @returns what it failed with; a fault's code where it is one */
export async function failureOf(act: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await act;
  } catch (cause) {
    const { code, message } = faultOf(cause);
    return { code, message };
  }
  return { code: "none", message: "it succeeded" };
}

/** A file read as if it came from afar: no shortcut past scratch. */
export function distantFile(path: string): Source {
  const { localPath: _, ...source } = fileSource(path);
  onTestFinished(() => source.close());
  return source;
}

export interface BytesOptions {
  path?: string;
  /** What the source says of itself. Default: the length of the bytes. */
  sizeBytes?: number | undefined;
  /** After the bytes: end (default), fail with this error, or say nothing more until aborted. */
  after?: "end" | "stall" | Error;
  /** Called when it begins to say nothing more. */
  onStall?: () => void;
}

/** Bytes as a source gives them: in pieces, and ended by the reader's signal. */
export function bytesSource(
  bytes: Buffer,
  { path = "/disk", sizeBytes = bytes.length, after = "end", onStall }: BytesOptions = {},
): Source {
  return {
    name: "bytes of the test",
    path,
    facts: () => Promise.resolve({ sizeBytes, ranges: false }),
    open(offset, signal) {
      let at = offset;
      const body = new Readable({
        read() {
          const piece = bytes.subarray(at, at + 64 * 1024);
          at += piece.length;
          if (piece.length > 0) this.push(piece);
          else if (after === "end") this.push(null);
          else if (after === "stall") onStall?.();
          else this.destroy(after);
        },
      });
      const onAbort = (): void => void body.destroy(signal.reason as Error);
      signal.addEventListener("abort", onAbort);
      body.once("close", () => signal.removeEventListener("abort", onAbort));
      return Promise.resolve(body);
    },
    close: () => Promise.resolve(),
  };
}
