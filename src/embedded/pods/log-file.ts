// One container instance's output on disk: a time and a text per line, bounded by turning the file over once it is full.
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { EventEmitter, once } from "node:events";
import type { Clock } from "../../lib/clock.ts";

/** Two files of this size at most: the current one and the one before. */
export const logFileLimitBytes = 10 * 1024 * 1024;
/** A line longer than this is cut into several. */
const lineLimitBytes = 16 * 1024;

export interface LogWriter {
  /** Copies a stream line by line until it ends. */
  copy(stream: Readable): void;
  /** Resolves when all streams have ended and everything is on disk. */
  ended(): Promise<void>;
  /** "line" after each write, "end" when closed. */
  readonly news: EventEmitter;
  readonly isOpen: boolean;
}

/** The file that holds the older half. */
export const turnedOver = (path: string): string => `${path}.1`;

export async function openLog(path: string, clock: Clock, limitBytes = logFileLimitBytes): Promise<LogWriter> {
  await mkdir(dirname(path), { recursive: true });
  const news = new EventEmitter();
  news.setMaxListeners(0);
  let file: WriteStream = createWriteStream(path, { flags: "a" });
  await once(file, "open");
  let bytes = 0;
  let open = true;
  let line = Promise.resolve();
  const copies: Promise<void>[] = [];

  async function put(text: string): Promise<void> {
    if (bytes + Buffer.byteLength(text) > limitBytes && bytes > 0) {
      await closeStream(file);
      await rename(path, turnedOver(path));
      file = createWriteStream(path, { flags: "a" });
      bytes = 0;
    }
    bytes += Buffer.byteLength(text);
    await new Promise<void>((resolve, reject) => file.write(text, (cause) => (cause ? reject(cause) : resolve())));
    news.emit("line");
  }

  /** Lines together, but never more than fits one file. */
  function pieces(lines: readonly string[]): string[] {
    const joined: string[] = [];
    for (const one of lines) {
      const last = joined.at(-1);
      if (last !== undefined && Buffer.byteLength(last) + Buffer.byteLength(one) <= limitBytes)
        joined[joined.length - 1] = last + one;
      else joined.push(one);
    }
    return joined;
  }

  async function copyLines(stream: Readable): Promise<void> {
    let rest = "";
    stream.setEncoding("utf8");
    const write = (lines: string[]): Promise<void> => {
      const time = new Date(clock.now()).toISOString().replace("Z", "000000Z");
      for (const text of pieces(lines.map((one) => `${time} ${one}\n`))) line = line.then(() => put(text));
      return line;
    };
    for await (const chunk of stream as AsyncIterable<string>) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      while (rest.length > lineLimitBytes) {
        lines.push(rest.slice(0, lineLimitBytes));
        rest = rest.slice(lineLimitBytes);
      }
      if (lines.length > 0) await write(lines);
    }
    if (rest) await write([rest]);
  }

  return {
    news,
    get isOpen() {
      return open;
    },
    copy: (stream) => void copies.push(copyLines(stream).catch((cause: unknown) => void news.emit("trouble", cause))),
    async ended() {
      await Promise.all(copies);
      await line.catch((cause: unknown) => void news.emit("trouble", cause));
      await closeStream(file);
      open = false;
      news.emit("end");
    },
  };
}

const closeStream = (file: WriteStream): Promise<void> => new Promise((resolve) => file.end(() => resolve()));
