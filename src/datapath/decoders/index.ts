// The decoders: one row per compression that sniffing knows.
import type { Readable } from "node:stream";
import type { Log } from "../../lib/log.ts";
import type { Compression } from "../sniff.ts";
import { decodeGz } from "./gz.ts";
import { decodeXz } from "./xz.ts";
import { decodeZst } from "./zst.ts";

/** Decoded bytes of `input`. Damaged or cut bytes are Fault ImageCorrupt; the input's own errors stay as they are. */
export type Decode = (input: Readable, signal: AbortSignal, log: Log) => Readable | Promise<Readable>;

export const decoders: Readonly<Record<Compression, Decode>> = { gz: decodeGz, xz: decodeXz, zst: decodeZst };
