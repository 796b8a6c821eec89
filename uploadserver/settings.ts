// The upload server's environment as values: texts parsed, fixed paths put under CDI_ROOT, all complaints at once.
import { dirname, basename } from "node:path";
import { EnvError } from "../src/contract/env.ts";
import { additiveEnv, podPaths, underRoot } from "../src/contract/paths.ts";
import { uploadEnv, uploadSpokenTo, type UploadConfig } from "../src/contract/upload-env.ts";
import { uploadHealthPortOld, uploadPort } from "../src/contract/upload-routes.ts";
import { bytesIn, fractionIn } from "../src/contract/volume-values.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
/** Which controller listens: see `uploadSpokenTo` in the contract. */
export type Listener = "current" | "v1.56";

export interface Settings {
  readonly config: UploadConfig;
  readonly listener: Listener;
  /** The device of a block volume; absent where the disk is a file. */
  readonly device?: string;
  readonly folder: string;
  readonly fileName: string;
  readonly scratchFolder: string;
  /** The pod's own place for a checkpoint; there only beside a device. */
  readonly checkpointFolder: string;
  /** Where a file named by the environment lies here. */
  readonly at: (path: string) => string;
  /** The claim's request, bytes; absent when the controller gave none (then the disk is not grown). */
  readonly requestBytes?: number;
  /** Fraction of a file system kept free, 0 to below 1. */
  readonly overhead: number;
  /** Size of the volume where statfs cannot tell it, bytes. */
  readonly volumeBytes?: number;
  /** When to make room for a server with a newer certificate, ms since the epoch. */
  readonly deadlineMs?: number;
  readonly listenAddress: string;
  readonly listenPort: number;
  /** Of the plain health endpoint; a v1.56 controller's only. */
  readonly healthPort?: number;
}

/** @throws EnvError naming every unusable variable */
export function readSettings(env: Environment): Settings {
  const complaints: string[] = [];
  const config = readConfig(env, complaints);
  const names = uploadEnv.variables;
  const requestBytes = bytesIn(names.imageSize.name, env, complaints);
  const overhead = fractionIn(names.filesystemOverhead.name, env, complaints);
  const volumeBytes = bytesIn(additiveEnv.volumeBytes, env, complaints);
  const deadlineMs = timeIn(names.deadline.name, env, complaints);
  const listenPort = portIn(names.listenPort.name, env, complaints) ?? uploadPort;
  if (config && !config.clientName) complaints.push(`${names.clientName.name}: must name the client, is empty`);
  if (!config || complaints.length > 0) throw new EnvError(complaints);
  const listener = uploadSpokenTo(config);
  const root = env[additiveEnv.root] ?? "";
  const at = (path: string): string => underRoot(root, path);
  const disk = at(config.destination ?? podPaths.disk);
  return {
    config,
    listener,
    ...(config.destination === podPaths.blockDevice ? { device: disk } : {}),
    folder: dirname(disk),
    fileName: basename(disk),
    scratchFolder: at(podPaths.scratch),
    checkpointFolder: at(podPaths.checkpoint),
    at,
    ...(requestBytes === undefined ? {} : { requestBytes }),
    overhead,
    ...(volumeBytes === undefined ? {} : { volumeBytes }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    listenAddress: config.listenAddress ?? (env[additiveEnv.podIp] || "0.0.0.0"),
    listenPort,
    ...(listener === "v1.56" ? { healthPort: uploadHealthPortOld } : {}),
  };
}

function readConfig(env: Environment, complaints: string[]): UploadConfig | undefined {
  try {
    return uploadEnv.read(env);
  } catch (cause) {
    if (!(cause instanceof EnvError)) throw cause;
    complaints.push(...cause.complaints);
    return undefined;
  }
}

function timeIn(name: string, env: Environment, complaints: string[]): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  const ms = /^\d{4}-\d\d-\d\d[Tt]/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    complaints.push(`${name}: must be a time such as 2026-01-02T03:04:05Z, is ${JSON.stringify(text)}`);
  return ms;
}

function portIn(name: string, env: Environment, complaints: string[]): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) complaints.push(`${name}: must be a port, is ${JSON.stringify(text)}`);
  return port;
}
