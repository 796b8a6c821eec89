// Reads a tool's output from a roomy pipe, by the MiB and into buffers that go round. Tools write 8 KiB at a time: a stream
// that wakes for each such piece costs more than the tool's own writing (docs/adr/0018). This one lets the pipe fill instead.
import { closeSync, readSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { codeOf } from "../../lib/syscalls.ts";
import { handOn, largeBuffer } from "../../lib/buffers.ts";

/** How long an empty pipe is left alone, ms: a quick tool fills it in one, a slow one is not asked too often. */
const shortestPause = 1;
const longestPause = 4;
/** What a pipe holds after a pause that was long enough. */
const plentyBytes = 256 * 1024;

export interface PipeReader extends AsyncIterable<Buffer> {
  /** Fills `into`. @returns fewer bytes than there is room for at the end only */
  read(into: Buffer): Promise<number>;
  /** Lets go of the pipe; the bytes end. */
  close(): void;
}

/** @param fd the reading end of a pipe that does not block; owned from now on */
export function pipeReader(fd: number): PipeReader {
  let isOpen = true;

  async function* pieces(): AsyncGenerator<Buffer> {
    for (let isOver = false; !isOver;) {
      const whole = largeBuffer();
      const filled = await fill(whole);
      isOver = filled < whole.length;
      if (filled > 0) yield handOn(whole, filled);
    }
  }

  async function fill(whole: Buffer): Promise<number> {
    let filled = 0;
    let pauseMs = shortestPause;
    let sincePause = 0;
    while (filled < whole.length && isOpen) {
      const got = readNow(fd, whole, filled);
      if (got === 0) break;
      filled += got ?? 0;
      sincePause += got ?? 0;
      if (got !== undefined) continue;
      pauseMs = sincePause >= plentyBytes ? shortestPause : Math.min(longestPause, pauseMs * 2);
      sincePause = 0;
      await pause(pauseMs);
    }
    return filled;
  }

  return {
    [Symbol.asyncIterator]: pieces,
    read: fill,
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** @returns 0 at the end; undefined when there is nothing yet */
function readNow(fd: number, into: Buffer, at: number): number | undefined {
  try {
    return readSync(fd, into, at, into.length - at, null);
  } catch (cause) {
    if (codeOf(cause) === "EAGAIN") return undefined;
    throw cause;
  }
}
