// A decoder that is a system tool: bytes in on its standard input, decoded bytes out.
import type { Readable } from "node:stream";
import { Fault } from "../../lib/faults.ts";
import { spawnTool, type ToolResult } from "../child.ts";
import { corrupt, decodedStream, type Decoder } from "./decoded.ts";

/** @throws Fault ToolMissing */
export function decodeWithTool(
  name: string,
  tool: string,
  args: readonly string[],
  input: Readable,
  signal: AbortSignal,
  pass?: Decoder["pass"],
): Readable {
  const child = spawnTool(tool, args, { stdin: "pipe", stdout: "pipe", signal });
  const { stdin: writable, stdout: readable } = child;
  if (!writable || !readable) throw new Error("pipes were asked for");
  return decodedStream(input, {
    writable,
    readable,
    ...(pass ? { pass } : {}),
    verdict: async () => complaintOf(name, tool, await child.done),
    async release() {
      child.stop();
      // Also when nobody reads what it still has to say; a tool that never started is told of by the verdict.
      readable.on("error", () => undefined).destroy();
      await child.done.catch(() => undefined);
    },
  });
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
