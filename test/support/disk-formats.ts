// Disk images of the formats beside qcow2: by qemu-img, and as VMware writes a streamOptimized VMDK.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { deflateSync } from "node:zlib";

const run = promisify(execFile);

/** qemu's driver, the options that make the image, and how its name ends. */
export const formatKinds = {
  "vmdk monolithicSparse": ["vmdk", "subformat=monolithicSparse", ".vmdk"],
  "vmdk streamOptimized": ["vmdk", "subformat=streamOptimized", ".vmdk"],
  "vdi dynamic": ["vdi", "static=off", ".vdi"],
  "vdi static": ["vdi", "static=on", ".vdi"],
  "vhd dynamic": ["vpc", "subformat=dynamic", ".vhd"],
  "vhd of exact size": ["vpc", "subformat=dynamic,force_size=on", ".vhd"],
  "vhdx dynamic": ["vhdx", "subformat=dynamic", ".vhdx"],
  "vhdx fixed": ["vhdx", "subformat=fixed", ".vhdx"],
  qed: ["qed", "cluster_size=65536", ".qed"],
} as const;
export type FormatKind = keyof typeof formatKinds;
export const allFormatKinds = Object.keys(formatKinds) as FormatKind[];
/** As this project calls it. */
export const formatOf = (kind: FormatKind): string => kind.replace(/ .*/, "");

/** @returns the image's path: `<stem><extension>` */
export async function makeFormat(kind: FormatKind, rawPath: string, stem: string): Promise<string> {
  const [driver, options, extension] = formatKinds[kind];
  await run("qemu-img", ["convert", "-f", "raw", "-O", driver, "-o", options, rawPath, `${stem}${extension}`]);
  return `${stem}${extension}`;
}

/** What qemu-img makes of it by its own default options: this is what an import must give. */
export async function rawOf(driver: string, path: string): Promise<Buffer> {
  await run("qemu-img", ["convert", "-f", driver, "-O", "raw", path, `${path}.raw`]);
  return await readFile(`${path}.raw`);
}

/** The size that qemu-img tells, bytes. */
export async function qemuSizeOf(driver: string, path: string): Promise<number> {
  const { stdout } = await run("qemu-img", ["info", "-f", driver, "--output=json", path]);
  return (JSON.parse(stdout) as { "virtual-size": number })["virtual-size"];
}

const sector = 512;
const grainBytes = 128 * sector;
const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((sector - (bytes.length % sector)) % sector)]);

export interface StreamOptions {
  descriptor?: string;
  /** Changes the header before it is written; the footer is made from it too. */
  header?: (header: Buffer) => void;
  footer?: (footer: Buffer) => void;
}

/** VMware's way: marks before everything, tables behind the grains they name, directory and footer last. */
export function vmwareStream(
  disk: Buffer,
  { descriptor, header: change, footer: changeFooter }: StreamOptions = {},
): Buffer {
  const parts: Buffer[] = [];
  let sectors = 0;
  const add = (bytes: Buffer): number => {
    const at = sectors;
    parts.push(padded(bytes));
    sectors += Math.ceil(bytes.length / sector);
    return at;
  };
  const mark = (count: number, type: number): void => {
    const bytes = Buffer.alloc(sector);
    bytes.writeBigUInt64LE(BigInt(count));
    bytes.writeUInt32LE(type, 12);
    add(bytes);
  };
  const header = sparseHeader(disk.length / sector, 2n ** 64n - 1n);
  change?.(header);
  add(header);
  const text = Buffer.alloc(20 * sector);
  text.write(descriptor ?? descriptorOf("streamOptimized", [`RW ${disk.length / sector} SPARSE "disk.vmdk"`]));
  add(text);
  while (sectors < 128) add(Buffer.alloc(sector));
  const tables: number[] = [];
  for (let first = 0; first < disk.length; first += 512 * grainBytes) {
    const table = Buffer.alloc(4 * 512);
    for (let index = 0; index < 512 && first + index * grainBytes < disk.length; index += 1) {
      const at = first + index * grainBytes;
      const grain = Buffer.alloc(grainBytes);
      disk.copy(grain, 0, at, at + grainBytes);
      if (grain.equals(Buffer.alloc(grainBytes))) continue;
      const packed = deflateSync(grain);
      const head = Buffer.alloc(12);
      head.writeBigUInt64LE(BigInt(at / sector));
      head.writeUInt32LE(packed.length, 8);
      table.writeUInt32LE(add(Buffer.concat([head, packed])), index * 4);
    }
    mark(4, 1);
    tables.push(add(table));
  }
  const directory = Buffer.alloc(4 * tables.length);
  for (const [index, at] of tables.entries()) directory.writeUInt32LE(at, index * 4);
  mark(1, 2);
  const footer = Buffer.from(header);
  footer.writeBigUInt64LE(BigInt(add(directory)), 56);
  changeFooter?.(footer);
  mark(1, 3);
  add(footer);
  add(Buffer.alloc(sector));
  return Buffer.concat(parts);
}

export const descriptorOf = (type: string, extents: readonly string[], more = "parentCID=ffffffff"): string =>
  `# Disk DescriptorFile\nversion=1\nCID=12345678\n${more}\ncreateType="${type}"\n\n${extents.join("\n")}\n\n#DDB\n`;

/** A sound streamOptimized header, its descriptor in the second sector. */
export function sparseHeader(capacitySectors: number, directorySector: bigint): Buffer {
  const header = Buffer.alloc(sector);
  header.write("KDMV", "latin1");
  header.writeUInt32LE(3, 4);
  header.writeUInt32LE(0x30001, 8);
  header.writeBigUInt64LE(BigInt(capacitySectors), 12);
  header.writeBigUInt64LE(128n, 20);
  header.writeBigUInt64LE(1n, 28);
  header.writeBigUInt64LE(20n, 36);
  header.writeUInt32LE(512, 44);
  header.writeBigUInt64LE(directorySector, 56);
  header.writeBigUInt64LE(128n, 64);
  header.write("\n \r\n", 73, "latin1");
  header.writeUInt16LE(1, 77);
  return header;
}

/**
 * `qemu-img create` with a LUKS header. On an idle machine its measuring of the processor now and then sees no time pass and
 * gives up: then it is asked again.
 */
export async function createLuks(args: readonly string[], tries = 20): Promise<void> {
  const secret = ["--object", "secret,id=s,data=test"];
  try {
    await run("qemu-img", ["create", "-q", ...secret, ...args]);
  } catch (cause) {
    if (tries === 0 || !String(cause).includes("Unable to get accurate CPU usage")) throw cause;
    await createLuks(args, tries - 1);
  }
}
