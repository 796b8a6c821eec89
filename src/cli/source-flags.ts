// SOURCE and the flags about it, shared by the verbs that read one.
import type { Command } from "commander";
import { sourceFrom } from "../../importer/index.ts";
import type { Source } from "../datapath/index.ts";
import { silentLog } from "../lib/log.ts";
import { UsageError } from "./output.ts";
import type { Surroundings } from "./surroundings.ts";

export interface SourceFlags {
  readonly header: readonly string[];
  readonly ca?: string;
  readonly insecure?: boolean;
}

/** Adds the flags of a source to a verb. */
export function withSourceFlags(verb: Command): Command {
  return verb
    .option("--header <line>", "a request header, 'Name: value'; may be given many times", gather, [])
    .option("--ca <file>", "certificates (PEM) to trust beside the system's")
    .option("--insecure", "accept any certificate");
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
export function sourceOf(
  argument: string,
  flags: SourceFlags,
  { env }: Surroundings,
  headBytes?: number,
): Promise<Source> {
  const { header: headers, ca, insecure = false } = flags;
  const head = headBytes === undefined ? {} : { headBytes };
  const caFiles = ca === undefined ? [] : [ca];
  return sourceFrom(argument, { headers, caFiles, insecure, env, ...head, log: silentLog });
}
