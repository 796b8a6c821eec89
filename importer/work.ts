// Which source the settings name, and what this program refuses before it begins.
import { readFile } from "node:fs/promises";
import type { ImporterConfig } from "../src/contract/importer-env.ts";
import type { Source } from "../src/datapath/index.ts";
import { Fault } from "../src/lib/faults.ts";
import { hostsFrom, type Hosts } from "../src/lib/http.ts";
import type { Log } from "../src/lib/log.ts";
import { Secret } from "../src/lib/secret.ts";
import type { Settings } from "./settings.ts";
import {
  blankWord,
  readCertificates,
  readRegistryCertificates,
  readSecretHeaders,
  sourceForWord,
} from "./sources/index.ts";

/** IMPORTER_SOURCE; none given means http, as the annotation it comes from says. */
export const wordOf = (config: ImporterConfig): string => config.source || "http";

export const isArchive = (config: ImporterConfig): boolean => config.contentType === "archive";

/** @throws Fault with upstream's text, which then stands alone in the termination log */
export function checkWork(config: ImporterConfig): void {
  const word = wordOf(config);
  if (word === blankWord) {
    if (isArchive(config)) throw new Fault("ConfigInvalid", "Cannot create empty disk with content type archive");
    return;
  }
  sourceForWord(word);
  // What the node pulled comes as a source of http (interfaces/registry.md 5).
  if (word !== "http" && (config.pullMethod === "node" || config.readyFile)) {
    throw new Fault("ConfigInvalid", `Unable to process data: pull method node is not read from source ${word}`);
  }
  if (isArchive(config) && config.readyFile) {
    throw new Fault("ConfigInvalid", "Unable to process data: content type archive is not read by pull method node");
  }
  if (isArchive(config) && word !== "http") {
    throw new Fault("ConfigInvalid", `Unable to process data: content type archive is not read from source ${word}`);
  }
}

/** Opens nothing yet. @param beginsLater as of an http source @throws Fault ConfigInvalid for settings or mounted files that cannot be used */
export async function makeSource(settings: Settings, log: Log, beginsLater = false): Promise<Source> {
  const { config, extraHeaders, hostsFile } = settings;
  const { httpProxy, httpsProxy, noProxy, accessKeyId, secretKey } = config;
  const isRegistry = wordOf(config) === "registry";
  const certificates = (name: "certs" | "proxyCerts"): Promise<string[]> =>
    isRegistry ? readRegistryCertificates(settings.path(name), log) : readCertificates(settings.path(name));
  const [trusted, proxyTrusted, secretHeaders, hosts] = await Promise.all([
    config.certDir === undefined ? [] : certificates("certs"),
    certificates("proxyCerts"),
    readSecretHeaders(settings.path("extraHeaders")),
    hostsFile === undefined ? undefined : readHosts(hostsFile),
  ]);
  return sourceForWord(wordOf(config)).make({
    url: config.endpoint,
    ...(accessKeyId === undefined ? {} : { username: new Secret(accessKeyId) }),
    ...(secretKey === undefined ? {} : { password: new Secret(secretKey) }),
    headers: extraHeaders,
    secretHeaders,
    ca: [...trusted, ...proxyTrusted],
    insecure: config.insecureTls,
    addresses: settings.addresses,
    beginsLater,
    proxy: { http: httpProxy, https: httpsProxy, noProxy },
    ...(hosts ? { hosts } : {}),
    ...(config.registryAuth ? { registryAuth: new Secret(config.registryAuth) } : {}),
    ...(config.registryImageArchitecture ? { architecture: config.registryImageArchitecture } : {}),
    log,
  });
}

async function readHosts(path: string): Promise<Hosts> {
  try {
    return hostsFrom(await readFile(path, "utf8"));
  } catch (cause) {
    throw new Fault("ConfigInvalid", `hosts file ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
