// Runs the program that pulls an image: a child that dies with us, asked on its standard input and heard on its standard output.
import { spawn } from "node:child_process";
import type { PullAnswer, PullRequest } from "../../contract/image-pull.ts";

/** An answer names a few dozen settings of the image; its environment may be long. */
const longestAnswerBytes = 16 * 1024 * 1024;
const longestLogBytes = 4096;

/** @param argv the program. @throws Error when it did not answer; the signal's reason once the child is dead */
export async function runPull(argv: readonly string[], request: PullRequest, signal: AbortSignal): Promise<PullAnswer> {
  signal.throwIfAborted();
  const child = spawn("setpriv", ["--no-new-privs", "--pdeathsig", "KILL", "--", ...argv], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stop = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", stop);
  try {
    let said = "";
    let log = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (said.length < longestAnswerBytes) said += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-longestLogBytes)));
    // It may be dead before it has read all.
    child.stdin.on("error", () => undefined).end(JSON.stringify(request));
    const how = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, name) => resolve(name ?? `exit status ${code}`));
    });
    signal.throwIfAborted();
    try {
      return JSON.parse(said) as PullAnswer;
    } catch (cause) {
      throw new Error(`the program that pulls images ended with ${how}: ${lastLine(log)}`, { cause });
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";
