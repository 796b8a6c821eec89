// What every decoder shares: a stream whose errors are Faults that blame the right side.
import { Readable } from "node:stream";
import { Fault } from "../../lib/faults.ts";

/** Decoded bytes that may wait for the writer. */
const decodedAheadBytes = 4 * 1024 * 1024;

/**
 * @param output the decoder's output
 * @param input its input: an error of the source stays the source's own
 * @param verdict called at the end and after an error of the decoder; its fault tells what was wrong with the bytes
 */
export function decodedStream(
  name: string,
  input: Readable,
  output: Readable,
  verdict: (cause?: unknown) => Promise<string | undefined>,
): Readable {
  let inputError: unknown;
  input.once("error", (cause: unknown) => (inputError = cause));
  async function* decoded(): AsyncGenerator<Buffer> {
    let failure: unknown;
    try {
      for await (const chunk of output) yield chunk as Buffer;
    } catch (cause) {
      failure = cause;
    } finally {
      // Also when the reader stopped early: what feeds the decoder must not wait for it for ever.
      if (!output.readableEnded) output.destroy();
    }
    if (failure instanceof Fault) throw failure;
    const complaint = await verdict(failure);
    if (inputError) throw inputError;
    if (complaint) {
      throw new Fault("ImageCorrupt", `unable to decompress ${name}: ${complaint}`, { cause: failure });
    }
    if (failure) throw failure;
  }
  return Readable.from(decoded(), { objectMode: false, highWaterMark: decodedAheadBytes });
}
