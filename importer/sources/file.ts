// A file or block device of this machine, for the command line.
import { constants, type BigIntStats } from "node:fs";
import { open, readFile, type FileHandle } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import type { Source, SourceFacts } from "../../src/datapath/index.ts";
import { Fault, faultOf } from "../../src/lib/faults.ts";

const readBytes = 1024 * 1024;

/**
 * @param path of a regular file or a block device
 * @param headBytes give no more than so many bytes from the beginning; default all
 */
export function fileSource(path: string, headBytes = Infinity): Source {
  const absolute = resolve(path);
  const live = new Set<Readable>();
  let known: SourceFacts | undefined;

  const look = async (): Promise<{ handle: FileHandle; facts: SourceFacts }> => {
    const handle = await openFile(absolute);
    try {
      const facts = await factsOf(handle, absolute);
      known ??= facts;
      if (known.validator !== facts.validator) {
        throw new Fault("SourceChanged", `${absolute} changed while it was read`);
      }
      return { handle, facts };
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  };

  return {
    name: absolute,
    path: absolute,
    localPath: absolute,
    async facts(signal) {
      signal.throwIfAborted();
      if (known) return known;
      const { handle, facts } = await look();
      await handle.close();
      return facts;
    },
    async open(offset, signal) {
      signal.throwIfAborted();
      const { handle, facts } = await look();
      const body = new FileBody(handle, absolute, offset, Math.min(headBytes, facts.sizeBytes ?? 0));
      const onAbort = (): void => void body.destroy(signal.reason as Error);
      signal.addEventListener("abort", onAbort);
      live.add(body);
      body.once("close", () => {
        signal.removeEventListener("abort", onAbort);
        live.delete(body);
      });
      if (signal.aborted) onAbort();
      return body;
    },
    async read(offset, into, signal) {
      signal.throwIfAborted();
      const { handle } = await look();
      try {
        await fill(handle, absolute, offset, into);
      } finally {
        await handle.close();
      }
    },
    async close() {
      await Promise.all([...live].map((body) => new Promise((done) => body.once("close", done).destroy())));
    },
  };
}

class FileBody extends Readable {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #end: number;
  #at: number;

  constructor(handle: FileHandle, path: string, offset: number, end: number) {
    super({ highWaterMark: readBytes });
    this.#handle = handle;
    this.#path = path;
    this.#at = offset;
    this.#end = end;
  }

  override _read(): void {
    this.#readOn().catch((cause: unknown) => this.destroy(faultOf(cause)));
  }

  async #readOn(): Promise<void> {
    const length = Math.min(readBytes, this.#end - this.#at);
    if (length <= 0) return void this.push(null);
    const { bytesRead, buffer } = await this.#handle
      .read(Buffer.allocUnsafeSlow(length), 0, length, this.#at)
      .catch((cause: unknown) => {
        throw unreadable(this.#path, cause);
      });
    if (bytesRead === 0) throw new Fault("SourceChanged", `${this.#path} became shorter while it was read`);
    this.#at += bytesRead;
    this.push(buffer.subarray(0, bytesRead));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#handle.close().then(
      () => done(error),
      (cause: unknown) => done(error ?? faultOf(cause)),
    );
  }
}

async function fill(handle: FileHandle, path: string, offset: number, into: Buffer): Promise<void> {
  for (let got = 0; got < into.length;) {
    const { bytesRead } = await handle.read(into, got, into.length - got, offset + got).catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    if (bytesRead === 0) throw new Fault("SourceChanged", `${path} became shorter while it was read`);
    got += bytesRead;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
}

async function factsOf(handle: FileHandle, path: string): Promise<SourceFacts> {
  const stats = await handle.stat({ bigint: true });
  if (!stats.isFile() && !stats.isBlockDevice()) {
    throw new Fault("SourceUnreadable", `${path} is neither a file nor a block device`);
  }
  const sizeBytes = stats.isFile() ? Number(stats.size) : await deviceBytes(stats, path);
  return { sizeBytes, ranges: true, validator: `${stats.mtimeNs}-${sizeBytes}-${stats.ino}` };
}

/** stat says 0 for a device; the kernel tells its length in sectors of 512 bytes. */
async function deviceBytes({ rdev }: BigIntStats, path: string): Promise<number> {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, "utf8").catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return Number(sectors) * 512;
}

const unreadable = (path: string, cause: unknown): Fault =>
  new Fault("SourceUnreadable", `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
