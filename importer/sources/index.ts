// Every source in one table: which IMPORTER_SOURCE word and which URLs select it, and how it is made.
import { fileURLToPath } from "node:url";
import type { Source } from "../../src/datapath/index.ts";
import { Fault } from "../../src/lib/faults.ts";
import { fileSource } from "./file.ts";
import { httpSource, type HttpSourceSettings } from "./http.ts";
import { registrySource } from "./registry/index.ts";

export { fileSource } from "./file.ts";
export { httpSource, type HttpSourceSettings } from "./http.ts";
export { readCertificateFile, readCertificates, readRegistryCertificates, readSecretHeaders } from "./mounts.ts";

export interface SourceRow {
  /** Name in logs, and in upstream's text "Unable to connect to <name> data source". */
  readonly name: string;
  /** Words of IMPORTER_SOURCE; none when only the command line reads it. */
  readonly words: readonly string[];
  /** Whether the command line's SOURCE argument means this one. Asked in the table's order. */
  readonly reads: (argument: string) => boolean;
  /** `url` holds the argument. @throws Fault ConfigInvalid */
  readonly make: (settings: HttpSourceSettings) => Source;
}

export const sources: readonly SourceRow[] = [
  { name: "http", words: ["http"], reads: (argument) => /^https?:\/\//i.test(argument), make: httpSource },
  {
    name: "registry",
    words: ["registry"],
    reads: (argument) => /^(docker:\/\/|oci-archive:|docker-archive:)/.test(argument),
    make: registrySource,
  },
  {
    name: "file",
    words: [],
    reads: (argument) => /^file:\/\//i.test(argument) || !/^[a-z][a-z0-9+.-]*:\/\//i.test(argument),
    make: ({ url, headBytes }) => fileSource(/^file:\/\//i.test(url) ? fileURLToPath(url) : url, headBytes),
  },
];

/** The word of IMPORTER_SOURCE for an empty disk: no bytes come from anywhere. */
export const blankWord = "none";

/** @returns the source of a pod's IMPORTER_SOURCE. @throws Fault SourceUnknown with upstream's text */
export function sourceForWord(word: string): SourceRow {
  const row = sources.find(({ words }) => words.includes(word));
  if (!row) throw new Fault("SourceUnknown", `Unknown data source: ${word}`);
  return row;
}

/** @returns the source of the command line's SOURCE argument. @throws Fault SourceUnknown */
export function sourceForArgument(argument: string): SourceRow {
  const row = sources.find(({ reads }) => reads(argument));
  if (!row) throw new Fault("SourceUnknown", `Unknown data source: ${argument.replace(/:.*/s, "")}`);
  return row;
}
