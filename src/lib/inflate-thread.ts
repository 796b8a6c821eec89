// A thread that unpacks raw deflate beside this one: many pieces a message, told by their addresses. A piece at a time by koffi on
// libuv's pool costs a third of its unpacking more (docs/adr/0029).
import { Worker } from "node:worker_threads";
import type { Inflater } from "./syscalls-inflate.ts";

export interface InflateThreadData {
  readonly windowBits: number;
}
/** Of the input where it begins and how long it is, and the same of the output. */
export const numbersOfPiece = 4;
/** In the place of how much of an input was used: it does not fill its output. */
export const unusable = -1;

export interface Piece {
  readonly input: Buffer;
  readonly into: Buffer;
}

export interface InflateThread {
  /** False until it has begun, and once it has failed. */
  readonly isReady: boolean;
  /**
   * Until it settles all of the memory must stay as it is.
   * @returns of each piece what `Inflater.inflate` returns @throws Error when the thread has ended: nothing is known of any of them
   */
  inflate(pieces: readonly Piece[]): Promise<(number | undefined)[]>;
  /** What it was asked fails then. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (used: (number | undefined)[]) => void;
  readonly reject: (cause: Error) => void;
  /** Held so that none of it is collected. */
  readonly pieces: readonly Piece[];
}

/** Its heap holds a few numbers; by default a thread's young space alone may take 48 MiB. */
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };

/**
 * Begins in the background, and keeps no process alive but while it is asked something.
 * @param inflater of this thread
 * @returns undefined where the process may have no other thread
 */
export function startInflateThread(windowBits: number, inflater: Inflater): InflateThread | undefined {
  const worker = startWorker({ windowBits });
  if (!worker) return undefined;
  const waiting: Waiting[] = [];
  let isReady = false;
  const settled = (): Waiting | undefined => {
    const one = waiting.shift();
    if (waiting.length === 0) worker.unref();
    return one;
  };
  worker.on("message", (answer: "ready" | Float64Array) => {
    if (answer === "ready") isReady = true;
    else settled()?.resolve(Array.from(answer, (used) => (used === unusable ? undefined : used)));
  });
  const fail = (cause: Error): void => {
    isReady = false;
    for (let one = settled(); one; one = settled()) one.reject(cause);
  };
  worker.on("error", (cause) => fail(cause as Error));
  worker.on("exit", (status) => fail(new Error(`the thread that unpacks has ended with status ${status}`)));
  // Behind the listeners: the first for messages makes it keep the process again.
  worker.unref();

  return {
    get isReady() {
      return isReady;
    },
    inflate(pieces) {
      const numbers = new Float64Array(pieces.length * numbersOfPiece);
      for (const [index, { input, into }] of pieces.entries()) {
        const of = [inflater.addressOf(input), input.length, inflater.addressOf(into), into.length];
        numbers.set(of, index * numbersOfPiece);
      }
      return new Promise((resolve, reject) => {
        if (!isReady) return reject(new Error("the thread that unpacks is not there"));
        waiting.push({ resolve, reject, pieces });
        worker.ref();
        worker.postMessage(numbers, [numbers.buffer]);
      });
    },
    async close() {
      await worker.terminate();
    },
  };
}

function startWorker(workerData: InflateThreadData): Worker | undefined {
  try {
    return new Worker(workerFile(import.meta.url), { workerData, resourceLimits });
  } catch (cause) {
    // ERR_WORKER_INIT_FAILED: a limit on threads or memory. The work is done without.
    if ((cause as NodeJS.ErrnoException).code?.startsWith("ERR_WORKER")) return undefined;
    throw cause;
  }
}

/** A program of its own beside the others in dist/, whatever part of the bundle this has become. */
function workerFile(here: string): URL {
  if (here.endsWith(".ts")) return new URL("inflate-worker.ts", here);
  return new URL(/\/chunks\/[^/]+$/.test(here) ? "../inflate-worker.js" : "inflate-worker.js", here);
}
