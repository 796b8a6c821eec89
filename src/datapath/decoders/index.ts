// The decoders: one row per compression that sniffing knows.
import type { Readable } from "node:stream";
import type { Log } from "../../lib/log.ts";
import type { Compression } from "../sniff.ts";
import { decodeGz } from "./gz.ts";
import type { DecodeResume } from "./point.ts";
import { decodeXz } from "./xz.ts";
import { decodeZst } from "./zst.ts";

export { PointUnusable, type DecodePoint, type DecodeResume } from "./point.ts";

/**
 * Decoded bytes of `input`. Damaged or cut bytes are Fault ImageCorrupt; the input's own errors stay as they are.
 * @param resume where to begin, and who is told where one could begin later. Default: at the first byte, and nobody
 */
export type Decode = (
  input: Readable,
  signal: AbortSignal,
  log: Log,
  resume?: DecodeResume,
) => Readable | Promise<Readable>;

export const decoders: Readonly<Record<Compression, Decode>> = { gz: decodeGz, xz: decodeXz, zst: decodeZst };
