// SOURCE and the flags about it, shared by the verbs that read one.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { sourceFrom } from "../../importer/index.ts";
import type { Source } from "../datapath/index.ts";
import { Fault } from "../lib/faults.ts";
import { silentLog } from "../lib/log.ts";
import { Secret } from "../lib/secret.ts";
import { UsageError } from "./output.ts";
import type { Surroundings } from "./surroundings.ts";

export interface SourceFlags {
  readonly header: readonly string[];
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly platform?: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly registryAuthFile?: string;
}

/** Adds the flags of a source to a verb. */
export function withSourceFlags(verb: Command): Command {
  return verb
    .option("--header <line>", "a request header, 'Name: value'; may be given many times", gather, [])
    .option("--ca <file>", "certificates (PEM) to trust beside the system's")
    .option("--insecure", "accept any certificate; of registries plain HTTP too")
    .option("--platform <arch>", "architecture of a container image, such as arm64", architectureOf)
    .option("--username <name>", "user name for the server; the password comes from --password-file")
    .option("--password-file <file>", "file that holds the password")
    .option("--registry-auth-file <file>", "credentials for registries, as in ~/.docker/config.json");
}

/** "linux/arm64" is taken as well: disks have no other system here. */
function architectureOf(text: string): string {
  const architecture = text.replace(/^linux\//, "");
  if (/^[a-z0-9]+$/.test(architecture)) return architecture;
  throw new UsageError(`--platform takes an architecture such as amd64 or arm64, not ${JSON.stringify(text)}`);
}

function gather(line: string, before: readonly string[]): string[] {
  if (!/^[!#$%&'*+.^_`|~\w-]+\s*:/.test(line)) throw new UsageError("--header takes 'Name: value'");
  return [...before, line];
}

/**
 * Names a URL or a local file; proxies come from the environment.
 * @param headBytes read no more than so many bytes; default all
 * @throws Fault
 */
export async function sourceOf(
  argument: string,
  flags: SourceFlags,
  { env }: Surroundings,
  headBytes?: number,
): Promise<Source> {
  const { header: headers, ca, insecure = false, platform: architecture, username, passwordFile } = flags;
  if ((username === undefined) !== (passwordFile === undefined)) {
    throw new UsageError("--username and --password-file belong together");
  }
  const isImage = argument.startsWith("docker://");
  const registryAuth = isImage ? await readAuthFile(flags.registryAuthFile, env) : undefined;
  const head = headBytes === undefined ? {} : { headBytes };
  const caFiles = ca === undefined ? [] : [ca];
  return await sourceFrom(argument, {
    headers,
    caFiles,
    insecure,
    env,
    ...head,
    architecture,
    registryAuth,
    username: username === undefined ? undefined : new Secret(username),
    password: passwordFile === undefined ? undefined : new Secret((await readText(passwordFile)).replace(/\r?\n$/, "")),
    log: silentLog,
  });
}

/** The file that is named, else the first that is there of those docker and podman write. */
async function readAuthFile(named: string | undefined, env: Surroundings["env"]): Promise<Secret | undefined> {
  const asked = named ?? env["REGISTRY_AUTH_FILE"];
  if (asked !== undefined) return new Secret(await readText(asked));
  const home = env["HOME"];
  const folders = [env["DOCKER_CONFIG"], home === undefined ? undefined : join(home, ".docker")];
  for (const folder of folders) {
    const file = folder === undefined ? undefined : join(folder, "config.json");
    if (file !== undefined && existsSync(file)) return new Secret(await readText(file));
  }
  return undefined;
}

async function readText(file: string): Promise<string> {
  return await readFile(file, "utf8").catch((cause: unknown) => {
    throw new Fault("ConfigInvalid", `${file} cannot be read: ${(cause as Error).message}`, { cause });
  });
}
