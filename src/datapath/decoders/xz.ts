// xz by the xz tool, by several of them where there are processors for it; lzma-native, one thread, where the tool is absent.
import type { Duplex, Readable } from "node:stream";
import { Fault } from "../../lib/faults.ts";
import { usableProcessors } from "../../lib/processors.ts";
import { findTool } from "../child.ts";
import { destroyWhole } from "../destroy-whole.ts";
import { corrupt, decodedStream, type Decoder } from "./decoded.ts";
import type { Decode } from "./index.ts";
import type { DecodeResume } from "./point.ts";
import { decodeWithTool } from "./tool.ts";
import { XzBlocks } from "./xz-blocks.ts";
import { decodeInParallel } from "./xz-parallel.ts";

/** A tool may take this much: the dictionary of `xz -9` is 64 MiB. */
const mostMemory = "256MiB";
/** Below this share of a second processor side by side takes more time than one after the other. */
const forTwo = 1.5;

export const decodeXz: Decode = async (input, signal, _log, resume) => {
  const path = findTool("xz");
  if (!path) return await decodeNatively(input, resume);
  const args = ["--decompress", "--stdout", `--memlimit-decompress=${mostMemory}`, "--threads=1"];
  const usable = usableProcessors();
  const tool = { path, args, signal, processors: Math.round(usable) };
  const together = usable < forTwo ? undefined : decodeInParallel(input, tool, resume);
  return together ?? decodeWithTool("xz", path, args, input, signal, followed(resume));
};

/** Nobody to be told and nowhere to begin: then the bytes go as they are. @throws PointUnusable */
function followed(resume: DecodeResume | undefined): Decoder["pass"] {
  if (!resume?.from && !resume?.onPoint) return undefined;
  const blocks = new XzBlocks(resume);
  return (chunk) => blocks.pass(chunk);
}

/** One thread, and slower than the tool. @throws Fault ToolMissing */
export async function decodeNatively(input: Readable, resume?: DecodeResume): Promise<Readable> {
  const pass = followed(resume);
  const lzma = await loadLzma();
  const decoder = lzma.createStream("streamDecoder", { flags: lzma.CONCATENATED });
  return decodedStream(input, {
    writable: decoder,
    readable: decoder,
    ...(pass ? { pass } : {}),
    verdict: (cause) => (isOfLzma(cause) ? corrupt("xz", cause.message, cause) : undefined),
    release: () => destroyWhole(decoder),
  });
}

/** Its errors bear liblzma's code as a number; those of streams bear a word. */
const isOfLzma = (cause: unknown): cause is Error =>
  cause instanceof Error && typeof (cause as { code?: unknown }).code !== "string";

interface Lzma {
  readonly CONCATENATED: number;
  createStream(coder: "streamDecoder", options: { flags: number }): Duplex;
}
async function loadLzma(): Promise<Lzma> {
  try {
    // @ts-ignore -- no types are published for this package version
    return ((await import("lzma-native")) as { default: Lzma }).default;
  } catch (cause) {
    throw new Fault("ToolMissing", "xz cannot be decoded: install the package xz-utils", { cause });
  }
}
