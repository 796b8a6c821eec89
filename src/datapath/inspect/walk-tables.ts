// Walks the L1 and L2 tables of a qcow2 file: every entry in bounds and aligned, no cluster past the end of the file.
// qemu-img exits 0 and gives zeros where a cluster is cut off; here that is ImageTruncated.
import { open } from "node:fs/promises";
import { Fault } from "../../lib/faults.ts";
import { headerBytes, readHeader, type Qcow2Header } from "../qcow2/header.ts";
import { walkTables as walk, type ReadAt } from "../qcow2/table-walk.ts";

export interface WalkedImage {
  header: Qcow2Header;
  /** Guest bytes that clusters with data of their own cover. */
  dataBytes: number;
}

/** @throws Fault ImageTruncated, ImageCorrupt, ImageRefused; the signal's reason */
export async function walkTables(path: string, signal: AbortSignal): Promise<WalkedImage> {
  const handle = await open(path);
  const readAt: ReadAt = async (offset, into) => {
    for (let got = 0; got < into.length;) {
      const { bytesRead } = await handle.read(into, got, into.length - got, offset + got);
      if (bytesRead === 0) throw new Fault("ImageTruncated", "the image became shorter while it was read");
      got += bytesRead;
    }
  };
  try {
    const { size: fileBytes } = await handle.stat();
    const head = Buffer.alloc(Math.min(headerBytes, fileBytes));
    await readAt(0, head);
    const header = readHeader(head);
    const clusters = await walk({ header, fileBytes, readAt, signal, see: () => undefined });
    return { header, dataBytes: clusters * header.clusterBytes };
  } finally {
    await handle.close();
  }
}
