// Runs a command to its end and gives what it printed; a failure carries both outputs.
import { spawn } from "node:child_process";

export interface RunTextOptions {
  env?: NodeJS.ProcessEnv;
  input?: string;
  cwd?: string;
  /** Ends it with SIGKILL after this long. @default 120 s */
  timeoutMs?: number;
}

export class CommandFailed extends Error {
  readonly status: number | null;
  readonly output: string;
  constructor(command: string, status: number | null, output: string) {
    super(`${command} ended with ${status ?? "a signal"}:\n${output}`);
    this.status = status;
    this.output = output;
  }
}

/** @returns stdout. @throws CommandFailed on a status other than 0 */
export function runText(command: string, args: readonly string[], options: RunTextOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(options.env ? { env: options.env } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 120_000,
      killSignal: "SIGKILL",
    });
    let out = "";
    let all = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      all += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => (all += chunk.toString()));
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(out);
      else reject(new CommandFailed(`${command} ${args.join(" ")}`, status, all));
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}
