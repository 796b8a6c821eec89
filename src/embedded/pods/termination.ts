// A container's last words: its termination file, or the end of its log when it failed without any.
import { open, readFile } from "node:fs/promises";
import type { Container } from "./pod-types.ts";

const fileLimitBytes = 4096;
const logLimitBytes = 2048;
const logLimitLines = 80;

/** @returns undefined when there is nothing to say */
export async function terminationMessage(
  container: Container,
  file: string,
  logFile: string,
  exitCode: number,
): Promise<string | undefined> {
  const said = (await firstBytes(file)).toString("utf8");
  if (said) return said;
  if (container.terminationMessagePolicy !== "FallbackToLogsOnError" || exitCode === 0) return undefined;
  const log = await readFile(logFile, "utf8").catch(() => ""); // it may never have written a line
  const lines = log.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
  const tail = Buffer.from(lines.slice(-logLimitLines - 1).join("\n"));
  return tail.subarray(Math.max(0, tail.length - logLimitBytes)).toString("utf8") || undefined;
}

/** The container may have put anything there: read no more than the limit, and nothing but a file. */
async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path, "r").catch(() => undefined); // removed by the container
  if (!file) return Buffer.alloc(0);
  try {
    if (!(await file.stat()).isFile()) return Buffer.alloc(0);
    const bytes = Buffer.alloc(fileLimitBytes);
    const { bytesRead } = await file.read(bytes, 0, fileLimitBytes, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
