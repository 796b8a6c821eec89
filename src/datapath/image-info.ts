// What a source is, from its head alone: for `cdi inspect`, and for sizing a claim before it is made.
import { silentLog } from "../lib/log.ts";
import { destroyWhole } from "./destroy-whole.ts";
import { refuseNonDisk } from "./disk-rule.ts";
import { inspectors } from "./inspect/index.ts";
import { peel } from "./peel.ts";
import { headerBytes, readHeader } from "./qcow2/header.ts";
import { sniffDisk, sniffRaw } from "./sniff.ts";
import type { Source, SourceFacts } from "./types.ts";

export interface ImageInfo extends SourceFacts {
  /** raw, iso, tar, qcow2, vmdk, vhd, vhdx, vdi or qed. */
  format: string;
  /** Compression, outermost first. */
  layers: string[];
  /** Absent where only the last byte would tell: raw under compression. VHDX tells it past its head. */
  virtualSizeBytes?: number;
  qcow2?: {
    version: number;
    clusterBytes: number;
    compression: string;
    extendedL2: boolean;
    dirty: boolean;
    corrupt: boolean;
    lazyRefcounts: boolean;
  };
}

/** @throws Fault NotAnImage, ImageRefused and kin, and the source's own */
export async function readImageInfo(source: Source, signal: AbortSignal): Promise<ImageInfo> {
  const facts = await source.facts(signal);
  const { head, body, layers } = await peel(await source.open(0, signal), signal, silentLog);
  await destroyWhole(body);
  refuseNonDisk(head, source.path);
  const disk = sniffDisk(head);
  const common = { ...facts, format: disk ?? sniffRaw(head), layers };
  if (disk === "qcow2") {
    const header = readHeader(head.subarray(0, headerBytes));
    const { virtualSizeBytes, version, clusterBytes, compression, extendedL2 } = header;
    const { dirty, corrupt, lazyRefcounts } = header;
    const marks = { dirty, corrupt, lazyRefcounts };
    return { ...common, virtualSizeBytes, qcow2: { version, clusterBytes, compression, extendedL2, ...marks } };
  }
  if (disk !== undefined) {
    const { virtualSizeBytes } = inspectors[disk].readHead(head);
    return { ...common, ...(virtualSizeBytes === undefined ? {} : { virtualSizeBytes }) };
  }
  const isPlainRaw = layers.length === 0 && facts.sizeBytes !== undefined;
  return isPlainRaw ? { ...common, virtualSizeBytes: facts.sizeBytes } : common;
}
