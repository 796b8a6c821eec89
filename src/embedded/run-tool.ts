// System tools (losetup, mkfs.ext4, unshare) run to their end, with their own words in the error.
import { execFile } from "node:child_process";

export interface ToolRun {
  stdout: string;
  stderr: string;
}

/** Fixed: tools of the administrator live where an ordinary user's PATH may not look. */
const toolPath = "/usr/sbin:/usr/bin:/sbin:/bin";

/** @throws Error with the tool's stderr, or naming the missing tool; `limitMs` ends a tool that hangs */
export async function runTool(name: string, args: readonly string[], limitMs = 60_000): Promise<ToolRun> {
  return new Promise((resolve, reject) => {
    execFile(
      name,
      args,
      { env: { PATH: toolPath, LC_ALL: "C" }, timeout: limitMs, killSignal: "SIGKILL" },
      (cause, stdout, stderr) => {
        if (!cause) return resolve({ stdout, stderr });
        const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
        const words = missing ? `${name} is not installed` : `${name} failed: ${stderr.trim() || cause.message}`;
        reject(new Error(words.replaceAll(/\s*\n\s*/g, " "), { cause }));
      },
    );
  });
}
