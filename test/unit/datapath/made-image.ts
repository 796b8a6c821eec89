// Images made by hand for the inspectors' tables: walked from a real file, as the road walks them.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspectors } from "../../../src/datapath/inspect/index.ts";
import type { Walked } from "../../../src/datapath/inspect/inspector.ts";
import type { DiskFormat } from "../../../src/datapath/sniff.ts";
import { faultOf } from "../../../src/lib/faults.ts";
import { makeFolder } from "../../support/loop.ts";

export const MIB = 1024 * 1024;
const headBytes = 64 * 1024;

export async function walkMade(
  format: DiskFormat,
  bytes: Buffer,
  signal = new AbortController().signal,
): Promise<Walked> {
  const path = join(await makeFolder(), "image");
  await writeFile(path, bytes);
  return await inspectors[format].walk(path, signal);
}

/** What the head alone is refused with; "accepted" when only the walk can tell. */
export function codeOfHead(format: DiskFormat, bytes: Buffer): string {
  try {
    inspectors[format].readHead(bytes.subarray(0, headBytes));
    return "accepted";
  } catch (cause) {
    return faultOf(cause).code;
  }
}
