// xz by the xz tool, whose blocks decode in parallel from 5.4 on; lzma-native, one thread, where the tool is absent.
import { spawnSync } from "node:child_process";
import type { Duplex, Readable } from "node:stream";
import { Fault } from "../../lib/faults.ts";
import { findTool } from "../child.ts";
import { destroyWhole } from "../destroy-whole.ts";
import { corrupt, decodedStream, type Decoder } from "./decoded.ts";
import type { Decode } from "./index.ts";
import type { DecodeResume } from "./point.ts";
import { decodeWithTool } from "./tool.ts";
import { XzBlocks } from "./xz-blocks.ts";

/** What parallel blocks may take together; xz goes on with fewer threads above it. */
const parallelMemory = "72MiB";
/** One thread may take this much: the dictionary of `xz -9` is 64 MiB. */
const singleMemory = "256MiB";

export const decodeXz: Decode = async (input, signal, _log, resume) => {
  const tool = findTool("xz");
  if (!tool) return await decodeNatively(input, resume);
  const parallel = decodesInParallel(tool) ? ["-T0", `--memlimit-mt-decompress=${parallelMemory}`] : [];
  return decodeWithTool(
    "xz",
    "xz",
    ["--decompress", "--stdout", `--memlimit-decompress=${singleMemory}`, ...parallel],
    input,
    signal,
    followed(resume),
  );
};

/** Nobody to be told and nowhere to begin: then the bytes go as they are. @throws PointUnusable */
function followed(resume: DecodeResume | undefined): Decoder["pass"] {
  if (!resume?.from && !resume?.onPoint) return undefined;
  const blocks = new XzBlocks(resume);
  return (chunk) => blocks.pass(chunk);
}

const versions = new Map<string, boolean>();
function decodesInParallel(tool: string): boolean {
  const known = versions.get(tool);
  if (known !== undefined) return known;
  const { stdout } = spawnSync(tool, ["--version"], { encoding: "utf8" });
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout ?? "") ?? []).map(Number);
  const answer = major > 5 || (major === 5 && minor >= 4);
  versions.set(tool, answer);
  return answer;
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
