// The sha256 of a disk as it reads after the commit.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { Fault } from "../lib/faults.ts";

const pieceBytes = 1024 * 1024;

/** @returns hex of the first `lengthBytes` of the file or device */
export async function digestOf(path: string, lengthBytes: number, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(pieceBytes);
  const handle = await open(path, "r");
  try {
    for (let at = 0; at < lengthBytes;) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(pieceBytes, lengthBytes - at), at);
      if (bytesRead === 0) throw new Fault("TargetIo", `${path} ends at byte ${at} of ${lengthBytes}`);
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}
