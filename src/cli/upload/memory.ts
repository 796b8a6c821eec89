// Which uploads this machine has begun, so that the same command goes on with them: one small file each in the user's state folder.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Fault } from "../../lib/faults.ts";

export interface About {
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** A file that was changed since is another one. */
  readonly modifiedMs: number;
}
export interface Remembered {
  readonly url: string;
}
type Env = Readonly<Record<string, string | undefined>>;

function placeOf(about: About, env: Env): string {
  const root = env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state");
  const { namespace, name, path, sizeBytes, modifiedMs } = about;
  const key = createHash("sha256")
    .update(JSON.stringify([namespace, name, path, sizeBytes, modifiedMs]))
    .digest("hex");
  return join(root, "cdi", "uploads", `${key.slice(0, 32)}.json`);
}

/** @returns undefined when no such upload was begun, or its note makes no sense. @throws Fault ConfigInvalid for a useless folder */
export async function recall(about: About, env: Env): Promise<Remembered | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(placeOf(about, env), "utf8"));
    const url = (value as { url?: unknown } | null)?.url;
    return typeof url === "string" ? { url } : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError || (cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return useless(cause);
  }
}

/** What was begun is at the proxy it was begun with: another cluster may have a DataVolume of the same name. */
export const urlBehind = (endpoint: string, before: Remembered | undefined): string | undefined =>
  before && URL.parse(before.url)?.origin === new URL(endpoint).origin ? before.url : undefined;

/** @throws Fault ConfigInvalid */
export async function remember(about: About, what: Remembered, env: Env): Promise<void> {
  const path = placeOf(about, env);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, JSON.stringify(what), { mode: 0o600 });
  } catch (cause) {
    useless(cause);
  }
}

/** @throws Fault ConfigInvalid */
export const forget = (about: About, env: Env): Promise<void> =>
  rm(placeOf(about, env), { force: true }).catch(useless);

function useless(cause: unknown): never {
  const text = `what uploads were begun cannot be noted: ${(cause as Error).message}; XDG_STATE_HOME names another folder`;
  throw new Fault("ConfigInvalid", text, { cause });
}
