// The rows of the bench of roads: a form of the disk, what it is held against, and what is also printed.
import type { DiskForm } from "./disk-images.ts";

export interface RoadRow {
  readonly name: string;
  readonly form: DiskForm;
  /** Fetched over https. */
  readonly isTls?: boolean;
  /** bash; `$url`, `$out` (the disk) and `$spare` (a file of the way) are set. What the wall time is held against. */
  readonly native: string;
  /** Others by name, printed beside it. */
  readonly also?: Readonly<Record<string, string>>;
  /** Upstream v1.56.1 under the default pod's limits, two cores, a disk with 640 MiB of data: an aim, not a bound. */
  readonly upstreamCpuSeconds?: string;
}

// dd leaves out zero blocks of 64 KiB; it waits for whole ones.
const sparse = "dd of=$out conv=sparse bs=64k iflag=fullblock status=none";
const converted = "curl -sSf -o $spare $url && qemu-img convert -m 16 -W -f qcow2 -O raw $spare $out && rm $spare";

export const roadRows: readonly RoadRow[] = [
  {
    name: "raw",
    form: "disk.raw",
    native: "curl -sSf -o $out $url",
    also: { sparse: `curl -sSf $url | ${sparse}` },
  },
  {
    name: "gz",
    form: "disk.raw.gz",
    native: `curl -sSf $url | gzip -dc | ${sparse}`,
    also: { igzip: `curl -sSf $url | igzip -dc | ${sparse}` },
    upstreamCpuSeconds: "6.8 - 7.2",
  },
  { name: "xz", form: "disk.raw.xz", native: `curl -sSf $url | xz -T0 -dc | ${sparse}` },
  { name: "zst", form: "disk.raw.zst", native: `curl -sSf $url | zstd -dc | ${sparse}` },
  { name: "qcow2", form: "disk.qcow2", native: converted, upstreamCpuSeconds: "1.6" },
  { name: "qcow2-compressed", form: "disk-compressed.qcow2", native: converted, upstreamCpuSeconds: "3.3" },
  { name: "https-raw", form: "disk.raw", isTls: true, native: "curl -sSf -o $out $url" },
  { name: "https-qcow2", form: "disk.qcow2", isTls: true, native: converted },
];
