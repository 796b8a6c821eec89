// Tar archives by hand: blocks as a test wants them, right or wrong. Honest ones come from tar-stream or GNU tar.
import { execFileSync } from "node:child_process";

export interface RawHeader {
  name: string | Buffer;
  size?: number;
  flag?: string;
  linkname?: string;
  mode?: number;
  /** Default "ustar\0" with version 00. */
  magic?: string;
  prefix?: string;
  /** Further bytes at their places, before the checksum is made. */
  also?: readonly (readonly [at: number, bytes: string | Buffer])[];
  /** Default right. */
  checksum?: number;
}

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;

/** One 512-byte header. */
export function tarHeader(header: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  const put = (at: number, bytes: string | Buffer): void => void Buffer.from(bytes as string, "utf8").copy(block, at);
  put(0, header.name);
  put(100, octal(header.mode ?? 0o644, 8));
  put(108, octal(0, 8));
  put(116, octal(0, 8));
  put(124, octal(header.size ?? 0, 12));
  put(136, octal(1_700_000_000, 12));
  put(156, header.flag ?? "0");
  put(157, header.linkname ?? "");
  put(257, header.magic ?? "ustar\0" + "00");
  put(345, header.prefix ?? "");
  for (const [at, bytes] of header.also ?? []) put(at, bytes);
  block.fill(0x20, 148, 156);
  const sum = header.checksum ?? block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

export const padded = (bytes: Buffer | string): Buffer => {
  const body = Buffer.from(bytes as string);
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
};

/** A header and its body. */
export const tarFile = (header: RawHeader, body: Buffer | string = ""): Buffer => {
  const bytes = Buffer.from(body as string);
  return Buffer.concat([tarHeader({ size: bytes.length, ...header }), padded(bytes)]);
};

/** PAX records before the entry they are of. */
export function paxHeader(records: readonly (readonly [key: string, value: string])[], flag: "x" | "g" = "x"): Buffer {
  const lines = records.map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest) + 1;
    while (`${length}`.length + Buffer.byteLength(rest) !== length) length += 1;
    return `${length}${rest}`;
  });
  return tarFile({ name: "PaxHeaders/x", flag }, lines.join(""));
}

export const tarEnd = Buffer.alloc(1024);

/** GNU tar's output for what lies in a folder. */
export const gnuTar = (folder: string, args: readonly string[]): Buffer =>
  execFileSync("tar", ["--create", "--file=-", `--directory=${folder}`, ...args], { maxBuffer: 2 ** 30 });
