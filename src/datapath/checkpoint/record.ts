// What a checkpoint says, and the reading of one. It lies on the volume, so nothing in it is believed before it was looked at.
import { createHash } from "node:crypto";
import { isSavedDigest, type SavedDigest } from "../../lib/syscalls-digest.ts";
import { mostStateBytes, readPassState, type PassState } from "../qcow2/pass-state.ts";
import type { Compression } from "../sniff.ts";
import type { SinkMark, Source, SourceFacts } from "../types.ts";

/** Another version is never read: the import starts over. */
export const checkpointFormat = 1;
/** What is told in words takes less than a kilobyte; the state of a decoder may take some more. */
const longestTextBytes = 256 * 1024;
export const longestCheckpointBytes = longestTextBytes + mostStateBytes;

/** What must be the same for the rest of the bytes to fit to those that are there. */
export interface CheckpointOf {
  /** OWNER_UID. */
  readonly owner: string;
  /** Source.identity, hashed. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly validator: string;
  /** `alg:hex` asked for, "" for none. */
  readonly checksum: string;
}

export interface Checkpoint extends CheckpointOf {
  readonly road: "straight" | "one-pass";
  readonly format: string;
  readonly layer?: Compression;
  /** Everything the source has below is placed and on the disk. */
  readonly inputBytes: number;
  /** Of the disk that a stream has given so far; the same as inputBytes where nothing is compressed. */
  readonly outputBytes: number;
  /** What the decoder has to know. */
  readonly decoderState?: string;
  /** At or before inputBytes. */
  readonly digest?: SavedDigest;
  /** Hash over the tables that were used before their bytes came by. */
  readonly tables?: string;
  readonly sink: SinkMark;
  /** Of a qcow2 that came as a stream: what its pass knew. */
  readonly pass?: PassState;
}

/** One line of JSON, and behind it the pass's state as bytes. */
export function writeCheckpoint(checkpoint: Omit<Checkpoint, "pass">, pass?: Buffer): Buffer {
  const text = JSON.stringify({ checkpointFormat, ...checkpoint, ...(pass ? { passBytes: pass.length } : {}) });
  return Buffer.concat([Buffer.from(`${text}\n`), ...(pass ? [pass] : [])]);
}

/** In place of a checkpoint while there is no place to go on from. */
export const begunMark = JSON.stringify({ checkpointFormat, begun: true });

/** @returns the checkpoint; or why it is none */
export function readCheckpoint(bytes: Buffer): Checkpoint | string {
  const lineEnd = bytes.indexOf("\n");
  const end = lineEnd < 0 ? bytes.length : lineEnd;
  if (end > longestTextBytes) return "it is too long";
  let said: unknown;
  try {
    said = JSON.parse(bytes.toString("utf8", 0, end));
  } catch {
    return "it is no JSON";
  }
  if (!isObject(said)) return "it is no object";
  if (said.checkpointFormat !== checkpointFormat) return "it is of another release";
  if (said.begun === true) return "compressed in one piece, it has no place to go on from";
  const { road, format, layer, decoderState, digest, tables, sink } = said;
  const { owner, source, validator, checksum, sizeBytes, inputBytes, outputBytes } = said;
  if (![owner, source, validator, checksum, format].every(isText)) return "a text is missing";
  if (road !== "straight" && road !== "one-pass") return "its road is unknown";
  if (layer !== undefined && !compressions.includes(layer)) return "its compression is unknown";
  if (![sizeBytes, inputBytes, outputBytes].every(isCount)) return "a count is missing";
  if ((inputBytes as number) > (sizeBytes as number)) return "it is past the end of the source";
  if (layer === undefined && road === "straight" && inputBytes !== outputBytes) return "its counts do not agree";
  if (road === "one-pass" && (layer !== undefined || outputBytes !== 0)) return "its counts do not agree";
  if (decoderState !== undefined && !isText(decoderState)) return "its decoder's state is no text";
  if (tables !== undefined && !isText(tables)) return "its tables are no text";
  if (digest !== undefined && !isDigestBelow(digest, inputBytes as number)) return "its digest's state is none";
  if ((digest !== undefined) !== (checksum !== "")) return "its digest does not fit the checksum";
  if (digest !== undefined && !(checksum as string).startsWith(`${(digest as SavedDigest).algorithm}:`))
    return "its digest does not fit the checksum";
  if (!isObject(sink) || ![sink.virtualSizeBytes, sink.sizeBytes, sink.writtenBytes].every(isCount))
    return "its target is not told";
  const { passBytes, ...checkpoint } = said;
  if (passBytes === undefined) return checkpoint as unknown as Checkpoint;
  if (road !== "one-pass") return "only a qcow2 has a pass";
  const rest = bytes.subarray(end + 1);
  const pass = passBytes === rest.length ? readPassState(rest, sizeBytes as number) : undefined;
  return pass ? { ...(checkpoint as unknown as Checkpoint), pass } : "the state of its pass makes no sense";
}

/** @returns what differs; undefined when it is of the same import */
export function differenceOf(checkpoint: CheckpointOf, now: CheckpointOf): string | undefined {
  const fields = ["owner", "source", "sizeBytes", "validator", "checksum"] as const;
  return fields.find((field) => checkpoint[field] !== now[field]);
}

const compressions: readonly unknown[] = ["gz", "xz", "zst"] satisfies Compression[];

/** @returns undefined where the source cannot prove later that it is the same one */
export function checkpointOf(
  owner: string,
  source: Source,
  { sizeBytes, validator = source.isSentOn ? "" : undefined, ranges }: SourceFacts,
  checksum: string,
): CheckpointOf | undefined {
  if (sizeBytes === undefined || validator === undefined || source.identity === undefined) return undefined;
  if (!ranges && !source.isSentOn) return undefined;
  const hashed = createHash("sha256").update(source.identity).digest("hex");
  return { owner, source: hashed, sizeBytes, validator, checksum: checksum.trim().toLowerCase() };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === "string";
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function isDigestBelow(value: unknown, inputBytes: number): boolean {
  if (!isObject(value) || !isText(value.algorithm) || !isText(value.words) || !isCount(value.bytes)) return false;
  return isSavedDigest(value as unknown as SavedDigest) && (value.bytes as number) <= inputBytes;
}
