// What is not a disk (compat.md, "What is a disk"). Everything else is: LUKS, ext4 and encrypted disks look like noise.
// The server's Content-Type never decides.
import { Fault } from "../lib/faults.ts";
import { sniffDisk } from "./sniff.ts";

/** No disk is shorter; upstream's text for it. */
export const smallestDiskBytes = 512;
export const tooShort = (where: string, gotBytes: number): Fault =>
  new Fault(
    "ImageTooShort",
    `could not process image header: ${where} has ${gotBytes} bytes, a disk has at least ${smallestDiskBytes}`,
  );

const extensions = [".qcow2", ".vmdk", ".vdi", ".vhd", ".vhdx", ".qed"];
const compressionExtensions = /(\.(gz|xz|zst))+$/i;

/**
 * @param head the first bytes under all compression layers
 * @param path the URL's path or the file's name
 * @throws Fault NotAnImage
 */
export function refuseNonDisk(head: Uint8Array, path: string): void {
  const seen = foreign(head);
  if (seen) throw new Fault("NotAnImage", `the source is ${seen}, not a disk image`);
  if (sniffDisk(head)) return;
  const extension = extensionOf(path);
  if (extension && !needsVhdFooter(head, path)) {
    throw new Fault(
      "NotAnImage",
      `the name ends in ${extension}, but the bytes are neither that nor another known disk format`,
    );
  }
}

/** Whether only the last sector can tell if this is the disk its name says: a fixed VHD has no header. */
export const needsVhdFooter = (head: Uint8Array, path: string): boolean =>
  extensionOf(path) === ".vhd" && !sniffDisk(head);

function extensionOf(path: string): string | undefined {
  const name = path.replace(compressionExtensions, "").toLowerCase();
  return extensions.find((one) => name.endsWith(one));
}

const archives: readonly { text: string; magics: readonly Buffer[] }[] = [
  { text: "a zip archive", magics: ["504b0304", "504b0506", "504b0708"].map((hex) => Buffer.from(hex, "hex")) },
  { text: "a 7z archive", magics: [Buffer.from("377abcaf271c", "hex")] },
];

function foreign(head: Uint8Array): string | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  const archive = archives.find(({ magics }) => magics.some((magic) => magic.equals(bytes.subarray(0, magic.length))));
  if (archive) return archive.text;
  const text = textOf(bytes.subarray(0, 1024));
  if (text === undefined) return undefined;
  if (/^<(!doctype\s+html|html|head|body|script|title|!--)/i.test(text)) return "an HTML page";
  if (/^<\?xml|^<!doctype\s|^<[a-z][\w:-]*[\s>/]/i.test(text)) return "an XML document";
  if (/^\{\s*("|\})/.test(text) || /^\[\s*(\{|\[|"|\]|-?\d|true|false|null)/.test(text)) return "a JSON document";
  if (/^# Disk DescriptorFile/i.test(text)) return "a bare VMDK descriptor, without the disk it describes";
  return undefined;
}

/** @returns the text without byte order mark and leading space, when the bytes are text up to a NUL padding */
function textOf(bytes: Buffer): string | undefined {
  const utf16 = bytes.length >= 2 && bytes.readUInt16LE(0) === 0xfeff;
  const text = utf16 ? bytes.toString("utf16le", 2) : bytes.toString("utf8");
  const trimmed = text.replace(/^\uFEFF/, "").trimStart();
  const line = trimmed.slice(0, 64);
  // oxlint-disable-next-line no-control-regex -- control characters are what tells bytes from text
  return line.length > 0 && !/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(line) ? trimmed : undefined;
}
