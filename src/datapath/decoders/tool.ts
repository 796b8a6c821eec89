// A decoder that is a system tool: bytes in on its standard input, decoded bytes out.
import { pipeline, type Readable } from "node:stream";
import { spawnTool } from "../child.ts";
import { decodedStream } from "./decoded.ts";

/** @throws Fault ToolMissing */
export function decodeWithTool(
  name: string,
  tool: string,
  args: readonly string[],
  input: Readable,
  signal: AbortSignal,
): Readable {
  const child = spawnTool(tool, args, { stdin: "pipe", stdout: "pipe", signal });
  if (!child.stdin || !child.stdout) throw new Error("pipes were asked for");
  // The tool closing its input early (EPIPE) is told by its exit status, an input error by decodedStream.
  pipeline(input, child.stdin, (cause) => {
    if (cause && !isClosedPipe(cause)) child.stop();
  });
  const { stdout } = child;
  // A reader that stopped early leaves the tool writing into a closed pipe.
  stdout.once("close", () => {
    if (!stdout.readableEnded) child.stop();
  });
  return decodedStream(name, input, stdout, async () => {
    const { exitCode, signal: ended, stderr } = await child.done;
    if (exitCode === 0) return undefined;
    const words = stderr
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/^\S*(xz|zstd): (\(stdin\): )?/, "");
    return words || `${tool} ended with ${ended ?? `status ${exitCode}`}`;
  });
}

const isClosedPipe = (cause: NodeJS.ErrnoException): boolean =>
  ["EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET"].includes(cause.code ?? "");
