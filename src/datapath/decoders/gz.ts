// gz by node's zlib: several members in a row, zero padding after the last.
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { decodedStream } from "./decoded.ts";
import type { Decode } from "./index.ts";

/** Large output pieces: fewer turns through the streams. */
const pieceBytes = 1024 * 1024;

export const decodeGz: Decode = (input: Readable) => {
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  // Its callback only marks the error as seen; the reader of `gunzip` is told.
  pipeline(input, gunzip, () => undefined);
  return decodedStream("gz", input, gunzip, (cause) => Promise.resolve(complaintOf(cause)));
};

function complaintOf(cause: unknown): string | undefined {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (!code?.startsWith("Z_")) return undefined;
  return code === "Z_BUF_ERROR" ? "unexpected end of the stream" : (cause as Error).message;
}
