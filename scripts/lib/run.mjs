// Runs a command in the foreground, and says clearly when it fails.
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** System tools also live where an ordinary user's PATH does not look. */
export const toolPath = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

export function findTool(name) {
  return toolPath
    .map((dir) => join(dir, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false; // not there, or not ours to run: the next folder decides
      }
    });
}

/** @returns the exit status; rejects when it is not 0, unless `mayFail` */
export function run(command, args, { mayFail = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "inherit", ...options });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      const status = code ?? 1;
      if (status === 0 || mayFail) resolve(status);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? `status ${status}`}`));
    });
  });
}
