// What decoders share that are fed on one side and read on the other: they are fed to the very end, and their errors are
// Faults that blame the right side.
import { Readable, type Writable } from "node:stream";
import { giveBack } from "../../lib/buffers.ts";
import { Fault } from "../../lib/faults.ts";
import { pulledStream } from "../pulled.ts";
import { PointUnusable } from "./point.ts";

export interface Decoder {
  /** Takes the encoded bytes. */
  readonly writable: Writable;
  /** Gives the decoded ones. May be the same stream. */
  readonly readable: AsyncIterable<Buffer>;
  /** What it takes of, or instead of, the encoded bytes. Default: them. @throws what then ends the output */
  readonly pass?: (chunk: Buffer) => readonly Buffer[];
  /** Asked at the end and after an error of the decoder. @returns what was wrong with the bytes */
  verdict(cause: unknown): Promise<Fault | undefined> | Fault | undefined;
  /** Ends whatever decodes; resolves when it is gone. Never rejects. */
  release(): Promise<void>;
}

/** The decoded bytes. An error of the input stays the input's own. Its close comes after the decoder's and the input's. */
export const decodedStream = (input: Readable, decoder: Decoder): Readable =>
  pulledStream(decodedBytes(input, decoder), { behind: input, release: () => decoder.release() });

export const corrupt = (name: string, complaint: string, cause?: unknown): Fault =>
  new Fault("ImageCorrupt", `unable to decompress ${name}: ${complaint}`, { cause });

async function* decodedBytes(input: Readable, decoder: Decoder): AsyncGenerator<Buffer> {
  const feeding = feed(input, decoder);
  let failure: unknown;
  try {
    for await (const chunk of decoder.readable) yield chunk;
  } catch (cause) {
    failure = cause;
  }
  const complaint = await decoder.verdict(failure);
  // After a complaint nobody reads the input any more.
  if (complaint || failure) input.destroy();
  const inputFailure = await feeding;
  if (inputFailure) throw inputFailure;
  if (complaint) throw complaint;
  if (failure) throw failure;
}

/**
 * Hands the decoder all bytes. What it no longer takes is read all the same: length and checksum are those of the whole source.
 * @returns the input's error, when it failed of itself
 */
async function feed(input: Readable, { writable: decoder, pass }: Decoder): Promise<unknown> {
  let isOpen = true;
  let wake: (() => void) | undefined;
  const over = (): void => {
    isOpen = false;
    wake?.();
  };
  // Its own error is told by its output, or by the tool's exit status.
  decoder.on("error", over).once("close", over);
  if (decoder instanceof Readable) decoder.once("end", over);
  decoder.on("drain", () => wake?.());
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const pieces = pass?.(chunk) ?? [chunk];
      const last = pieces.at(-1);
      for (const piece of pieces) {
        // Written in their order: with the last piece the decoder has done with all of them.
        if (!isOpen || decoder.write(piece, piece === last ? () => giveBack(chunk) : undefined) || !isOpen) continue;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
    if (isOpen) decoder.end();
    return undefined;
  } catch (cause) {
    decoder.destroy();
    if (cause instanceof PointUnusable) return cause;
    // Undefined when it was destroyed from behind: that is no failure of the input.
    return input.errored ?? undefined;
  }
}
