// Where an image's parts come from: a registry, or an archive of this machine. What is read is checked by whoever reads it.
import type { Readable } from "node:stream";
import { Fault } from "../../../src/lib/faults.ts";
import type { Descriptor } from "./manifest.ts";

export interface RawManifest {
  readonly bytes: Buffer;
  /** "" where nobody says. */
  readonly mediaType: string;
}

export interface ImageStore {
  /** Shown in logs and messages. */
  readonly name: string;
  /** The digest the first manifest must have, where the name gives one. */
  readonly digest?: string;
  /** The manifest the name leads to. */
  first(signal: AbortSignal): Promise<RawManifest>;
  /** One an index leads to. */
  manifest(descriptor: Descriptor, signal: AbortSignal): Promise<RawManifest>;
  /** A blob's bytes from `offset` on. */
  blob(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<Readable>;
  /** Part of a blob, where it can be read anywhere; undefined where it cannot. */
  readBlob?: (descriptor: Descriptor, offset: number, into: Buffer, signal: AbortSignal) => Promise<void>;
  /** Whether blobs can be read anywhere. Known once a blob was opened. */
  readonly ranges: boolean;
  close(): Promise<void>;
}

/** All of a small part. @throws Fault ImageRefused when it is longer than `mostBytes` */
export async function readSmall(body: Readable, mostBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > mostBytes) throw new Fault("ImageRefused", `${what} is longer than ${mostBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    body.destroy();
  }
  return Buffer.concat(chunks);
}
