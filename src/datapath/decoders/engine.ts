// node:zlib's engines driven by hand: into buffers that go round, on this thread. Their streams take a fresh buffer for each
// piece of output, and a trip to the pool and back for each of input: twice the processor time of the decoding itself
// (docs/adr/0017).
import { setImmediate as turn } from "node:timers/promises";
import type { Transform } from "node:stream";
import { handOn, largeBuffer, largeBytes } from "../../lib/buffers.ts";

/** What there is under a stream of node:zlib: undocumented. The runtime is pinned, and a test looks. */
interface Driven {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inputAt: number,
      inputBytes: number,
      output: Buffer,
      outputAt: number,
      outputBytes: number,
    ): void;
    onerror: (message: string, errno: number, code: string) => void;
    reset(): void;
  };
  /** Room left in the output, then bytes left of the input. */
  readonly _writeState: Uint32Array;
}

/** The engine refuses its input. */
export class EngineError extends Error {
  /** As on errors of node:zlib. */
  readonly code: string;
  constructor(message: string, code: string) {
    super(message);
    this.name = "EngineError";
    this.code = code;
  }
}

/** The event loop gets its turn after so many bytes of output, however few of input they come from. */
const turnBytes = 32 * largeBytes;

export class Engine {
  readonly #stream: Transform;
  readonly #driven: Driven;
  readonly #onOutput: (bytes: Buffer) => void;
  #refusal: EngineError | undefined;
  #output = largeBuffer();
  #filledBytes = 0;
  #sinceTurn = 0;

  /** @param stream of node:zlib, used by nobody else @param onOutput is shown each stretch of output before it is handed on */
  constructor(stream: Transform, onOutput: (bytes: Buffer) => void) {
    this.#stream = stream;
    this.#driven = stream as unknown as Driven;
    this.#onOutput = onOutput;
    this.#driven._handle.onerror = (message, _errno, code) => {
      this.#refusal = new EngineError(message, code);
    };
  }

  /**
   * Hands on output by the whole buffer; the rest of it stays for the next call.
   * @returns how many bytes were used: fewer than there are when the engine's data ended in them
   * @throws EngineError
   */
  async *decode(input: Buffer): AsyncGenerator<Buffer, number> {
    for (let used = 0; ;) {
      used += this.#step(input, used);
      if (this.#filledBytes < this.#output.length) return used;
      yield this.#handOn();
      this.#sinceTurn += largeBytes;
      if (this.#sinceTurn < turnBytes) continue;
      this.#sinceTurn = 0;
      await turn();
    }
  }

  /** What is left of the output. */
  *rest(): Generator<Buffer> {
    if (this.#filledBytes > 0) yield this.#handOn();
  }

  /** Ready for data of its kind anew. */
  reset(): void {
    this.#driven._handle.reset();
  }

  close(): void {
    this.#stream.destroy();
  }

  #step(input: Buffer, from: number): number {
    const room = this.#output.length - this.#filledBytes;
    const inputBytes = input.length - from;
    this.#driven._handle.writeSync(0, input, from, inputBytes, this.#output, this.#filledBytes, room);
    if (this.#refusal) throw this.#refusal;
    const [roomLeft = 0, inputLeft = 0] = this.#driven._writeState;
    if (roomLeft < room) {
      const filled = this.#filledBytes + room - roomLeft;
      this.#onOutput(this.#output.subarray(this.#filledBytes, filled));
      this.#filledBytes = filled;
    }
    return inputBytes - inputLeft;
  }

  #handOn(): Buffer {
    const part = handOn(this.#output, this.#filledBytes);
    this.#output = largeBuffer();
    this.#filledBytes = 0;
    return part;
  }
}
