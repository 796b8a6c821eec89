// The text inside a sparse VMDK that says what kind of disk it is, whose child it is, and of which files it is made.
import { corrupt, refused, refusedParent } from "./inspector.ts";

const kinds = ["monolithicsparse", "streamoptimized"];
const extentLine = /^\s*(RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)\s*(.*)$/i;

/** @param bytes the descriptor with its padding @throws Fault ImageRefused, ImageCorrupt */
export function checkDescriptor(bytes: Buffer): void {
  // Wherever it stands, also behind a NUL: qemu looks for the name, not for a line.
  if (/parentFileNameHint/i.test(bytes.toString("latin1"))) throw refusedParent("its VMDK descriptor names a parent");
  const [text = ""] = bytes.toString("latin1").split("\0");
  const lines = text.split(/\r\n|\r|\n/);
  if (!/^# Disk DescriptorFile/i.test(lines[0] ?? "")) throw refused("is a VMDK without its own descriptor");
  const type = onlyValue(lines, "createType").toLowerCase();
  if (!kinds.includes(type)) {
    throw refused(`is a VMDK of type "${type}": only monolithicSparse and streamOptimized are read`);
  }
  if (onlyValue(lines, "parentCID").toLowerCase() !== "ffffffff")
    throw refusedParent("its VMDK descriptor names a parent");
  checkExtents(lines);
}

function onlyValue(lines: readonly string[], key: string): string {
  const pattern = new RegExp(`^\\s*${key}\\s*=\\s*"?([^"]*?)"?\\s*$`, "i");
  const values = lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
  if (values.length !== 1) throw corrupt(`a VMDK descriptor with ${values.length} values of ${key}`);
  return values[0] ?? "";
}

/** One extent, and that is the file the descriptor stands in. */
function checkExtents(lines: readonly string[]): void {
  const rows = lines.map((line) => extentLine.exec(line)).filter((row) => row !== null);
  if (rows.length !== 1) throw refused(`is a VMDK of ${rows.length} extents; only those in one file are read`);
  const [, access = "", kind = "", name = ""] = rows[0] ?? [];
  if (kind.toUpperCase() !== "SPARSE" || access.toUpperCase() === "NOACCESS")
    throw refused(`is a VMDK with an extent of kind ${access} ${kind}; only readable SPARSE ones are read`);
  if (/[/\\]/.test(name))
    throw refused("is a VMDK whose extent lies in another folder; images that refer to other files are refused");
}
