// What a file system takes for itself (interfaces/storage-decisions.md 1c): bytes to ask for, bytes left to use.
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { StorageClass } from "../../api/core.ts";
import { defaultClassOf } from "./default-class.ts";

const mebibyte = 1024 * 1024;

export const roundUp = (bytes: number): number => Math.ceil(bytes / mebibyte) * mebibyte;
const roundDown = (bytes: number): number => Math.floor(bytes / mebibyte) * mebibyte;

/** @returns bytes of a volume on which `bytes` are usable; not re-aligned, as upstream */
export const requiredBytes = (bytes: number, overhead: number): number => Math.ceil(roundUp(bytes) * (1 + overhead));
/** @returns bytes usable on a volume of `bytes` */
export const usableBytes = (bytes: number, overhead: number): number => roundDown(Math.ceil(bytes / (1 + overhead)));

export const defaultOverhead = "0.06";

export interface OverheadQuestion {
  /** Name asked for; undefined = the cluster's default, "" = no class. */
  className: string | undefined;
  volumeMode: string | undefined;
  config: CdiConfig | undefined;
  classes: readonly StorageClass[];
}

/** @returns decimal text between "0" and "1", as it goes into FILESYSTEM_OVERHEAD */
export function overheadOf({ className, volumeMode, config, classes }: OverheadQuestion): string {
  if (volumeMode === "Block" || className === "" || !config) return "0";
  const settings = config.status?.filesystemOverhead;
  // The Kubernetes default, never the one for virtual machines.
  const named = classes.find((one) => one.metadata.name === className) ?? defaultClassOf(classes, "kubernetes");
  const global = settings?.global ?? defaultOverhead;
  return named ? (settings?.storageClass?.[named.metadata.name ?? ""] ?? global) : global;
}
