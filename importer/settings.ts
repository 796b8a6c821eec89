// The importer's environment as values: texts parsed, fixed paths put under CDI_ROOT, all complaints at once.
import { EnvError } from "../src/contract/env.ts";
import { importerEnv, readExtraHeaders, spokenTo, type ImporterConfig } from "../src/contract/importer-env.ts";
import { additiveEnv, podPaths, underRoot } from "../src/contract/paths.ts";
import { bytesIn, fractionIn } from "../src/contract/volume-values.ts";
import { addressPolicy, type AddressPolicy } from "../src/lib/address-policy.ts";
import { Fault } from "../src/lib/faults.ts";
import type { Listener } from "./outcome.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Settings {
  readonly config: ImporterConfig;
  readonly listener: Listener;
  /** Where a fixed path of the contract lies here. */
  readonly path: (name: keyof typeof podPaths) => string;
  /** The claim's request, bytes; absent when the controller gave none (then the disk is not grown). */
  readonly requestBytes?: number;
  /** Fraction of a file system kept free, 0 to below 1. */
  readonly overhead: number;
  readonly extraHeaders: readonly string[];
  /** Size of the volume where statfs cannot tell it, bytes. */
  readonly volumeBytes?: number;
  /** A hosts file for our resolver. */
  readonly hostsFile?: string;
  readonly listenAddress: string;
  /** Where the image server of a node pull says that it is ready; absent: there is none. */
  readonly readyFile?: string;
  readonly addresses: AddressPolicy;
}

/** @throws EnvError naming every unusable variable */
export function readSettings(env: Environment): Settings {
  const complaints: string[] = [];
  const config = readConfig(env, complaints);
  const requestBytes = bytesIn(importerEnv.variables.imageSize.name, env, complaints);
  const overhead = fractionIn(importerEnv.variables.filesystemOverhead.name, env, complaints);
  const volumeBytes = bytesIn(additiveEnv.volumeBytes, env, complaints);
  const addresses = addressesOf(env, config?.addressRules, complaints);
  if (!config || !addresses || complaints.length > 0) throw new EnvError(complaints);
  const root = env[additiveEnv.root] ?? "";
  const hostsFile = env[additiveEnv.hosts];
  return {
    config,
    listener: spokenTo(config),
    path: (name) => underRoot(root, podPaths[name]),
    ...(requestBytes === undefined ? {} : { requestBytes }),
    overhead,
    extraHeaders: readExtraHeaders(env),
    ...(volumeBytes === undefined ? {} : { volumeBytes }),
    ...(hostsFile ? { hostsFile } : {}),
    listenAddress: env[additiveEnv.podIp] || "0.0.0.0",
    ...(config.readyFile ? { readyFile: underRoot(root, config.readyFile) } : {}),
    addresses,
  };
}

function addressesOf(env: Environment, rules: string | undefined, complaints: string[]): AddressPolicy | undefined {
  try {
    return addressPolicy({ inPod: isInPod(env), rules });
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    complaints.push(`${importerEnv.variables.addressRules.name}: ${cause.message}`);
    return undefined;
  }
}

/** Every pod of a cluster is told where its API server is. */
const isInPod = (env: Environment): boolean => Boolean(env["KUBERNETES_SERVICE_HOST"]);

function readConfig(env: Environment, complaints: string[]): ImporterConfig | undefined {
  try {
    return importerEnv.read(env);
  } catch (cause) {
    if (!(cause instanceof EnvError)) throw cause;
    complaints.push(...cause.complaints);
    return undefined;
  }
}
