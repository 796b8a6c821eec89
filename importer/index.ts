// Door of the importer for the command line: sources by argument, and the rate meter both programs show.
import { readCertificateFile, sourceForArgument } from "./sources/index.ts";
import type { Source } from "../src/datapath/index.ts";
import { proxySettingsFrom } from "../src/lib/http.ts";
import type { Log } from "../src/lib/log.ts";
import type { Secret } from "../src/lib/secret.ts";

export { makeRateMeter, type RateMeter } from "./rate.ts";

export interface SourceOptions {
  /** Lines of "Name: value". */
  readonly headers: readonly string[];
  /** Files of PEM certificates trusted beside the system's. */
  readonly caFiles: readonly string[];
  readonly insecure: boolean;
  /** Where the proxy variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Read no more than so many bytes from the beginning. Default all. */
  readonly headBytes?: number;
  readonly username?: Secret | undefined;
  readonly password?: Secret | undefined;
  /** Of registries: a docker config with credentials, and Go's name of the architecture asked for. */
  readonly registryAuth?: Secret | undefined;
  readonly architecture?: string | undefined;
  readonly log: Log;
}

/**
 * The source a SOURCE argument names: an http or https URL, a container image, else a file. Opens nothing yet.
 * @throws Fault ConfigInvalid, SourceUnknown
 */
export async function sourceFrom(argument: string, options: SourceOptions): Promise<Source> {
  const { headers, caFiles, insecure, env, headBytes, username, password, registryAuth, architecture, log } = options;
  const row = sourceForArgument(argument);
  const ca = (await Promise.all(caFiles.map((file) => readCertificateFile(file)))).flat();
  const head = headBytes === undefined ? {} : { headBytes };
  return row.make({
    url: argument,
    headers,
    secretHeaders: [],
    ca,
    insecure,
    proxy: proxySettingsFrom(env),
    ...head,
    username,
    password,
    registryAuth,
    architecture,
    log,
  });
}
