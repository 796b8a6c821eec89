// A fixed VHD is a raw disk with one sector behind it: under the name .vhd only that last sector tells it from anything else.
import { pipeline, Transform, type Readable } from "node:stream";
import { Fault } from "../lib/faults.ts";

const footerBytes = 512;
const cookie = Buffer.from("conectix", "latin1");

export interface FooterCheck {
  /** The same bytes. */
  readonly body: Readable;
  /** To be asked when the body has been read to its end. @throws Fault NotAnImage */
  refuseUnlessFooter(): void;
}

/** Remembers the last sector of what passes. */
export function footerCheck(input: Readable): FooterCheck {
  let last: Buffer = Buffer.alloc(0);
  const body = new Transform({
    readableHighWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      const joined = chunk.length < footerBytes ? Buffer.concat([last, chunk]) : chunk;
      last = Buffer.from(joined.subarray(-footerBytes));
      done(null, chunk);
    },
  });
  // The reader of `body` is told of errors.
  pipeline(input, body, () => undefined);
  return {
    body,
    refuseUnlessFooter() {
      if (last.subarray(0, cookie.length).equals(cookie)) return;
      const detail = "the bytes are neither that nor another known disk format";
      throw new Fault("NotAnImage", `the name ends in .vhd, but ${detail}: they have no VHD header and no VHD footer`);
    },
  };
}
