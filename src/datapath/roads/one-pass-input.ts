// The image's bytes in the file's order, with the gaps left out where that is allowed.
import type { Readable } from "node:stream";
import { giveBack } from "../../lib/buffers.ts";
import { destroyWhole } from "../destroy-whole.ts";
import type { HostInput } from "../qcow2/host-pass.ts";
import type { TableCheck } from "../qcow2/table-check.ts";
import type { RoadJob } from "./road.ts";

export interface OnePassInput extends HostInput {
  /** Offset in the file of the next bytes. */
  readonly position: number;
  readonly hasSkipped: boolean;
  /** Ends what was opened here; the body that was given stays its giver's. */
  close(): Promise<void>;
}

/** @param check told of every byte; nothing is skipped then */
export function onePassInput(job: RoadJob, check?: TableCheck): OnePassInput {
  const { peeled, source, progress, signal, startAt = 0 } = job;
  const isPlain = peeled.layers.length === 0;
  let position = startAt;
  let reopened: Readable | undefined;
  let lastGiven: Buffer | undefined;
  let iterator = peeled.body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;

  const input: OnePassInput = {
    get position() {
      return position;
    },
    get hasSkipped() {
      return reopened !== undefined;
    },
    async next() {
      if (lastGiven) giveBack(lastGiven);
      const { value } = await iterator.next();
      lastGiven = value;
      if (value === undefined) return undefined;
      check?.pass(position, value);
      position += value.length;
      if (reopened) progress.bytesRead += value.length;
      progress.bytesDone = isPlain ? position : progress.bytesRead;
      return value;
    },
    async close() {
      if (reopened) await destroyWhole(reopened);
    },
  };
  if (check) return input;
  input.skipTo = async (offset) => {
    await destroyWhole(reopened ?? peeled.body);
    reopened = await source.open(offset, signal);
    iterator = reopened[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    position = offset;
  };
  return input;
}
