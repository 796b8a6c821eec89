// Files that honest people import: file systems, partition tables, encrypted and bootable disks as raw bytes, and every format
// that qemu-img writes, plain and compressed. Each with the raw disk it must come out as.
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createLuks } from "./disk-formats.ts";
import { makeRawImage, seededBytes, wrap, type Wrapping } from "./images.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

export interface HonestFile {
  name: string;
  path: string;
  /** What the disk must read as. */
  rawPath: string;
}

/** File systems and the like, by the tool that makes them. `{}` is the file. */
const made: readonly { name: string; megabytes: number; command: readonly string[]; input?: string }[] = [
  { name: "ext2", megabytes: 8, command: ["mkfs.ext2", "-q", "-F", "{}"] },
  { name: "ext3", megabytes: 16, command: ["mkfs.ext3", "-q", "-F", "{}"] },
  { name: "ext4", megabytes: 16, command: ["mkfs.ext4", "-q", "-F", "{}"] },
  { name: "xfs", megabytes: 48, command: ["mkfs.xfs", "-q", "-f", "--unsupported", "{}"] },
  { name: "btrfs", megabytes: 60, command: ["mkfs.btrfs", "-q", "-M", "{}"] },
  { name: "vfat", megabytes: 8, command: ["mkfs.vfat", "{}"] },
  { name: "minix", megabytes: 4, command: ["mkfs.minix", "{}"] },
  { name: "swap", megabytes: 4, command: ["mkswap", "{}"] },
  { name: "mbr", megabytes: 8, command: ["sfdisk", "-q", "{}"], input: "label: dos\nstart=2048, type=83, bootable\n" },
  { name: "gpt", megabytes: 8, command: ["sfdisk", "-q", "{}"], input: "label: gpt\nsize=2MiB\n" },
];

/** Arguments of qemu-img convert, and how the name ends. */
const formats: readonly { name: string; driver: string; options?: string; more?: readonly string[]; ending: string }[] =
  [
    { name: "qcow2-v3", driver: "qcow2", ending: ".qcow2" },
    { name: "qcow2-v2", driver: "qcow2", options: "compat=0.10", ending: ".qcow2" },
    { name: "qcow2-compressed", driver: "qcow2", more: ["-c"], ending: ".qcow2" },
    { name: "qcow2-zstd", driver: "qcow2", options: "compression_type=zstd", more: ["-c"], ending: ".qcow2" },
    { name: "qcow2-extended", driver: "qcow2", options: "extended_l2=on", ending: ".qcow2" },
    { name: "qcow2-clusters-of-512", driver: "qcow2", options: "cluster_size=512", ending: ".qcow2" },
    { name: "qcow2-clusters-of-2m", driver: "qcow2", options: "cluster_size=2M", ending: ".qcow2" },
    { name: "qcow2-refcounts-of-1", driver: "qcow2", options: "refcount_bits=1", ending: ".qcow2" },
    { name: "qcow2-refcounts-of-64", driver: "qcow2", options: "refcount_bits=64", ending: ".qcow2" },
    { name: "qcow2-lazy", driver: "qcow2", options: "lazy_refcounts=on", ending: ".qcow2" },
    { name: "qcow2-metadata", driver: "qcow2", options: "preallocation=metadata", ending: ".qcow2" },
    { name: "qcow2-full", driver: "qcow2", options: "preallocation=full", ending: ".qcow2" },
    { name: "qcow2-without-a-name", driver: "qcow2", ending: "" },
    { name: "vmdk-sparse", driver: "vmdk", options: "subformat=monolithicSparse", ending: ".vmdk" },
    { name: "vmdk-stream", driver: "vmdk", options: "subformat=streamOptimized", ending: ".vmdk" },
    { name: "vdi-dynamic", driver: "vdi", ending: ".vdi" },
    { name: "vdi-static", driver: "vdi", options: "static=on", ending: ".vdi" },
    { name: "vhd-dynamic", driver: "vpc", options: "subformat=dynamic,force_size=on", ending: ".vhd" },
    { name: "vhdx-dynamic", driver: "vhdx", options: "subformat=dynamic", ending: ".vhdx" },
    { name: "vhdx-fixed", driver: "vhdx", options: "subformat=fixed", ending: ".vhdx" },
    { name: "qed", driver: "qed", ending: ".qed" },
  ];

const bootable = ["/usr/lib/grub-rescue/grub-rescue-cdrom.iso", "/usr/lib/grub-rescue/grub-rescue-floppy.img"];

export async function honestFiles(folder: string): Promise<HonestFile[]> {
  await mkdir(folder);
  const files: HonestFile[] = [];
  const at = (name: string): string => join(folder, name);
  const asRaw = async (name: string, bytes: Buffer): Promise<void> => {
    await writeFile(at(name), bytes);
    files.push({ name, path: at(name), rawPath: at(name) });
  };
  const wrapped = async (name: string, path: string, rawPath: string, how: Wrapping): Promise<void> => {
    await writeFile(at(`${name}.${how}`), await wrap(await readFile(path), how));
    files.push({ name: `${name}.${how}`, path: at(`${name}.${how}`), rawPath });
  };

  for (const { name, megabytes, command, input } of made) {
    const path = at(`${name}.img`);
    await writeFile(path, "");
    await truncate(path, megabytes * MIB);
    const [tool = "", ...args] = command.map((word) => (word === "{}" ? path : word));
    const started = run(tool, args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
    started.child.stdin?.end(input ?? "");
    await started;
    files.push({ name, path, rawPath: path });
  }
  const ext4 = at("ext4.img");
  for (const how of ["gz", "xz", "zst"] as const) await wrapped("ext4", ext4, ext4, how);

  const raw = makeRawImage(8 * MIB, 20, 3);
  await asRaw("disk.raw", raw);
  await asRaw("noise", seededBytes(3 * MIB, "noise"));
  await asRaw("one-sector", seededBytes(512, "sector"));
  await asRaw("zeros.img", Buffer.alloc(2 * MIB));
  const lvm = Buffer.alloc(4 * MIB);
  lvm.write("LABELONE", 512, "latin1");
  lvm.write("LVM2 001", 536, "latin1");
  await asRaw("physical-volume", lvm);
  const iso = Buffer.alloc(4 * MIB);
  iso.write("\u0001CD001", 0x8000, "latin1");
  raw.copy(iso, MIB, 0, MIB);
  await asRaw("disc.iso", iso);
  await asRaw("text-inside.img", Buffer.concat([Buffer.alloc(512), Buffer.from("<html>"), Buffer.alloc(4090)]));
  await mkdir(at("tree"));
  await writeFile(at("tree/file"), seededBytes(100_000, "file"));
  await run("tar", ["-cf", at("tree.tar"), "-C", folder, "tree"]);
  files.push({ name: "tree.tar", path: at("tree.tar"), rawPath: at("tree.tar") });
  await createLuks(["-f", "luks", "-o", "key-secret=s,iter-time=10", at("luks.img"), "4M"]);
  files.push({ name: "luks", path: at("luks.img"), rawPath: at("luks.img") });
  for (const source of bootable.filter((path) => existsSync(path))) {
    const name = source.replace(/.*\//, "");
    await copyFile(source, at(name));
    files.push({ name, path: at(name), rawPath: at(name) });
  }
  // A fixed VHD has its mark at the end only: as elsewhere it is a raw disk with a last sector too many.
  await run("qemu-img", [
    "convert",
    "-O",
    "vpc",
    "-o",
    "subformat=fixed,force_size=on",
    at("disk.raw"),
    at("fixed.vhd"),
  ]);
  files.push({ name: "fixed.vhd", path: at("fixed.vhd"), rawPath: at("fixed.vhd") });

  for (const { name, driver, options, more = [], ending } of formats) {
    const path = at(`${name}${ending}`);
    await run("qemu-img", [
      "convert",
      "-O",
      driver,
      ...(options ? ["-o", options] : []),
      ...more,
      at("disk.raw"),
      path,
    ]);
    const rawPath = at(`${name}.expected`);
    await run("qemu-img", ["convert", "-f", driver, "-O", "raw", path, rawPath]);
    files.push({ name, path, rawPath });
  }
  for (const how of ["gz", "xz", "zst"] as const) {
    await wrapped("qcow2-v3.qcow2", at("qcow2-v3.qcow2"), at("qcow2-v3.expected"), how);
    await wrapped("vmdk-sparse.vmdk", at("vmdk-sparse.vmdk"), at("vmdk-sparse.expected"), how);
  }
  const snapshots = at("snapshots.qcow2");
  await copyFile(at("qcow2-v3.qcow2"), snapshots);
  await run("qemu-img", ["snapshot", "-c", "one", snapshots]);
  files.push({ name: "qcow2-with-a-snapshot", path: snapshots, rawPath: at("qcow2-v3.expected") });
  return files;
}
