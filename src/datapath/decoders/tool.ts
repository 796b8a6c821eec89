// A decoder that is a system tool: bytes in on its standard input, decoded bytes out.
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { Fault } from "../../lib/faults.ts";
import { syscalls } from "../../lib/syscalls.ts";
import { largeBytes } from "../../lib/buffers.ts";
import { spawnTool, type Tool, type ToolResult } from "../child.ts";
import { corrupt, decodedStream, type Decoder } from "./decoded.ts";
import { pipeReader, type PipeReader } from "./pipe-reader.ts";

/** @throws Fault ToolMissing */
export function decodeWithTool(
  name: string,
  tool: string,
  args: readonly string[],
  input: Readable,
  signal: AbortSignal,
  pass?: Decoder["pass"],
): Readable {
  const { child, output } = startTool(tool, args, signal);
  const { stdin: writable } = child;
  if (!writable) throw new Error("a pipe was asked for");
  return decodedStream(input, {
    writable,
    readable: output.bytes,
    ...(pass ? { pass } : {}),
    verdict: async () => complaintOf(name, tool, await child.done),
    async release() {
      child.stop();
      // A tool that never started is told of by the verdict.
      await child.done.catch(() => undefined);
      output.close();
    },
  });
}

interface Output {
  readonly bytes: AsyncIterable<Buffer>;
  /** To be called also when nobody reads what the tool still has to say. */
  close(): void;
}

/** A pipe of our own where there can be one, else what node makes: a pair of sockets. */
function startTool(tool: string, args: readonly string[], signal: AbortSignal): { child: Tool; output: Output } {
  const piped = startPiped(tool, args, signal);
  if (piped) return { child: piped.child, output: { bytes: piped.reader, close: () => piped.reader.close() } };
  const child = spawnTool(tool, args, { stdin: "pipe", stdout: "pipe", signal });
  const { stdout } = child;
  if (!stdout) throw new Error("a pipe was asked for");
  return { child, output: { bytes: stdout, close: () => void stdout.on("error", () => undefined).destroy() } };
}

/** The tool behind a pipe of our own. @returns undefined where there can be none */
export function startPiped(
  tool: string,
  args: readonly string[],
  signal: AbortSignal,
): { child: Tool; reader: PipeReader } | undefined {
  const pipe = syscalls().openPipe(largeBytes);
  if (!pipe) return undefined;
  const reader = pipeReader(pipe.readFd);
  try {
    return { child: spawnTool(tool, args, { stdin: "pipe", stdout: pipe.writeFd, signal }), reader };
  } catch (cause) {
    reader.close();
    throw cause;
  } finally {
    // The tool has its own: the pipe ends with it.
    closeSync(pipe.writeFd);
  }
}

/** @returns undefined when the tool was content */
export function complaintOf(name: string, tool: string, result: ToolResult): Fault | undefined {
  const { exitCode, signal, stderr } = result;
  if (exitCode === 0) return undefined;
  const words = stderr
    .split("\n")
    .map((line) => line.replace(/^\S*(xz|zstd): /, "").replace(/^(\(stdin\)|\/\*stdin\*\\) ?: /, ""))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("; ");
  // An honest stream that wants more memory than a decoder is given, or a hostile one.
  if (/memory/i.test(words)) return new Fault("ImageRefused", `unable to decompress ${name}: ${words}`);
  // Killed from outside, as for want of memory: that says nothing of the bytes.
  if (signal) return new Fault("Unclassified", `decompressing ${name}: ${tool} was ended by ${signal}`);
  return corrupt(name, words || `${tool} ended with status ${exitCode}`);
}
