// A sink for tests that look at bytes alone: a disk in memory.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sink } from "../../src/datapath/index.ts";

export type MemorySink = Sink & { disk(): Buffer };

/** What was lent lies in a temporary file until commit or discard. */
export function memorySink(availableBytes: number): MemorySink {
  let bytes = Buffer.alloc(0);
  let lent: string | undefined;
  let lentBytes = 0;
  const takeBack = (): void => {
    if (lent === undefined) return;
    // A writer with direct I/O rounds the end up to its block.
    bytes = readFileSync(join(lent, "disk")).subarray(0, lentBytes);
    rmSync(lent, { recursive: true });
    lent = undefined;
  };
  return {
    kind: "filesystem",
    path: "memory",
    availableBytes,
    disk: () => bytes,
    begin(virtualSizeBytes) {
      bytes = Buffer.alloc(virtualSizeBytes);
      return Promise.resolve();
    },
    write(offset, some) {
      if (offset + some.length > bytes.length) throw new Error(`a write to ${offset} goes past the end`);
      bytes.set(some, offset);
      return Promise.resolve();
    },
    read(offset, into) {
      bytes.copy(into, 0, offset, offset + into.length);
      return Promise.resolve();
    },
    zero(offset, length) {
      bytes.fill(0, offset, offset + length);
      return Promise.resolve();
    },
    lend(virtualSizeBytes) {
      lentBytes = virtualSizeBytes;
      lent = mkdtempSync(join(tmpdir(), "cdi-lent-"));
      const path = join(lent, "disk");
      writeFileSync(path, "");
      truncateSync(path, virtualSizeBytes);
      return Promise.resolve({ path, readsAsZeros: true });
    },
    commit() {
      takeBack();
      return Promise.resolve({ sizeBytes: bytes.length, preallocated: false });
    },
    discard() {
      takeBack();
      return Promise.resolve();
    },
  };
}
