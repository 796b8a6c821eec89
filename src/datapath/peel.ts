// Unwraps compression, layer by layer, until the bytes of a disk show.
import type { Readable } from "node:stream";
import { Fault } from "../lib/faults.ts";
import type { Log } from "../lib/log.ts";
import { destroyWhole } from "./destroy-whole.ts";
import { decoders, type DecodeResume } from "./decoders/index.ts";
import { smallestDiskBytes, tooShort } from "./disk-rule.ts";
import { peek } from "./peek.ts";
import { sniffBytes, sniffCompression, type Compression } from "./sniff.ts";

/** Nobody wraps a disk deeper than twice; a bomb would. */
const deepest = 4;

export interface Peeled {
  /** The first bytes under all layers. */
  head: Buffer;
  /** All bytes under all layers. */
  body: Readable;
  /** Outermost first. */
  layers: Compression[];
}

/**
 * @param onPoint told of the outermost layer's points; they are of use only where it is the only one
 * @throws Fault ImageTooShort, ImageCorrupt, ImageRefused, and the source's own; the input is closed then, and so are the
 * tools that decoded it
 */
export async function peel(
  input: Readable,
  signal: AbortSignal,
  log: Log,
  onPoint?: DecodeResume["onPoint"],
): Promise<Peeled> {
  const layers: Compression[] = [];
  let stream = input;
  try {
    for (;;) {
      const { head, rest } = await peek(stream, sniffBytes);
      stream = rest;
      const layer = sniffCompression(head);
      // Of the disk, not of its wrapping: an empty disk compresses to next to nothing.
      if (!layer && head.length < smallestDiskBytes) {
        throw tooShort(layers.length === 0 ? "the source" : `the source under ${layers.join(" and ")}`, head.length);
      }
      if (!layer) return { head, body: rest, layers };
      if (layers.length === deepest) {
        throw new Fault("ImageRefused", `more than ${deepest} layers of compression: ${layers.join(", ")}`);
      }
      stream = await decoders[layer](rest, signal, log, layers.length === 0 ? { onPoint } : {});
      layers.push(layer);
    }
  } catch (cause) {
    await destroyWhole(stream);
    throw cause;
  }
}
