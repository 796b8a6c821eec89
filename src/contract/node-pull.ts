// Node pull (interfaces/registry.md section 5): the node pulls the image under import, and a server of ours, started inside it,
// hands its disk to the importer beside it. Names both containers and the controller agree on.
import { join } from "node:path";

export const nodePull = {
  /** Where every container of the pod sees the volume they share. */
  folder: "/shared",
  volume: "shared-volume",
  port: 8100,
  /** In the image under import. */
  imageFolder: "/disk",
  /** Holds the disk's file name once the server answers. */
  readyFile: "/shared/ready",
  /** Made by the importer once it will not ask again. */
  doneFile: "/shared/done",
  endpoint: "http://localhost:8100/disk.img",
  /** In the importer image: the server, and what copies it. */
  program: "/usr/bin/cdi-containerimage-server",
} as const;

/** What is copied into the shared folder: an image under import has no runtime, and as a rule not even a libc. */
export const copied = {
  /** The dynamic loader, under a name that is the same on every architecture. */
  loader: "lib/ld.so",
  libraries: "lib",
  runtime: "node",
  program: "server.mjs",
} as const;

/** Of the init container, which runs in the importer image. */
export const copyCommand: readonly string[] = [nodePull.program, "-copy-to", nodePull.folder];

const shared = (name: string): string => join(nodePull.folder, name);

/**
 * Of the container that runs in the image under import: nothing but the shared folder is taken for granted there, and nothing of
 * the image is believed. It is a stranger's, and must not get to run code in a pod of the importing namespace.
 */
export const serverCommand: readonly string[] = [
  shared(copied.loader),
  // Neither the image's table of libraries nor its TLS configuration, which may name modules to load.
  "--inhibit-cache",
  "--library-path",
  shared(copied.libraries),
  shared(copied.runtime),
  "--openssl-config=/dev/null",
  shared(copied.program),
  "-p",
  String(nodePull.port),
  "-image-dir",
  nodePull.imageFolder,
  "-ready-file",
  nodePull.readyFile,
  "-done-file",
  nodePull.doneFile,
];

/** Variables of the image that would have loader and runtime load what they name. Set empty on the container. */
export const silencedVariables = [
  "LD_PRELOAD",
  "LD_AUDIT",
  "GLIBC_TUNABLES",
  "NODE_OPTIONS",
  "NODE_COMPILE_CACHE",
  "NODE_ICU_DATA",
  "NODE_EXTRA_CA_CERTS",
  "NODE_V8_COVERAGE",
] as const;

/** Additive: beside the ready file, why there will be none, as a `ServerFailure`. */
export const failureFileOf = (readyFile: string): string => `${readyFile}.failed`;

export interface ServerFailure {
  /** Of the fault catalog. */
  readonly code: string;
  readonly message: string;
}

export const infoPath = "/info";

/** The answer of `/info`. */
export interface ServerInfo {
  /** The server's own environment, which is the image's: "NAME=value". */
  readonly env: readonly string[];
  /** Additive: changes whenever the file served does. */
  readonly file?: string;
}
