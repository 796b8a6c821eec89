// Reads the tables of an image file in pieces, through one window: bounded memory, and nothing read past the file's end.
import { open, type FileHandle } from "node:fs/promises";
import { Fault } from "../../lib/faults.ts";

/** Tables are read through one window of this size: they mostly lie side by side. */
export const windowBytes = 1024 * 1024;

/** @throws Fault ImageTruncated, whatever `act` throws */
export async function withTables<T>(path: string, act: (reader: TableReader) => Promise<T>): Promise<T> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    return await act(new TableReader(handle, size));
  } finally {
    await handle.close();
  }
}

/** Reads pieces of tables through one window. A view is good until the next read. */
export class TableReader {
  readonly fileBytes: number;
  readonly #handle: FileHandle;
  #window = Buffer.alloc(0);
  #windowOffset = 0;

  constructor(handle: FileHandle, fileBytes: number) {
    this.#handle = handle;
    this.fileBytes = fileBytes;
  }

  /** @throws Fault ImageTruncated, naming `what` */
  async read(offset: number, length: number, what: string): Promise<Buffer> {
    if (offset + length > this.fileBytes) {
      throw new Fault(
        "ImageTruncated",
        `the image ends at byte ${this.fileBytes}, before the end of its ${what} (${offset} to ${offset + length})`,
      );
    }
    const from = offset - this.#windowOffset;
    if (from >= 0 && from + length <= this.#window.length) return this.#window.subarray(from, from + length);
    const want = Math.min(Math.max(windowBytes, length), this.fileBytes - offset);
    const buffer = Buffer.allocUnsafe(want);
    let got = 0;
    while (got < want) {
      const { bytesRead } = await this.#handle.read(buffer, got, want - got, offset + got);
      if (bytesRead === 0) throw new Fault("ImageTruncated", `the image became shorter while it was read`);
      got += bytesRead;
    }
    this.#window = buffer;
    this.#windowOffset = offset;
    return buffer.subarray(0, length);
  }
}
