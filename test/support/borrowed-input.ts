// An image's bytes in order for a pass over it: in memory that is taken back with the next call, at times only after a wait; and a
// disk that takes its time.
import { setImmediate as turn } from "node:timers/promises";
import type { HostInput, HostPassOptions } from "../../src/datapath/qcow2/host-pass.ts";

/** The first piece and every third after it have to be waited for. @param startAt offset in the image of the first piece */
export function borrowedInput(image: Buffer, startAt: number, pieceBytes: number): HostInput {
  let at = startAt;
  let calls = 0;
  let lent = Buffer.alloc(0);
  return {
    async next() {
      lent.fill(0xa5);
      calls += 1;
      if (calls % 3 === 1) for (let turns = 0; turns < 3; turns += 1) await turn();
      lent = Buffer.from(image.subarray(at, at + pieceBytes));
      at += lent.length;
      return lent.length > 0 ? lent : undefined;
    },
  };
}

/** Bytes are looked at a turn of the loop after they were given. */
export function slowPlace(disk: Buffer): HostPassOptions["place"] {
  return async (guest, bytes) => {
    await turn();
    bytes.copy(disk, guest);
  };
}
