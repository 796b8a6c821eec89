// The straight road: raw, ISO or tar, plain or decompressed on the way, into the target as it comes.
import { giveBack } from "../../lib/buffers.ts";
import { enterStage } from "../progress.ts";
import type { RoadEnd, RoadJob } from "./road.ts";

/** @throws Fault of the source, the decoders or the sink */
export async function goStraight(job: RoadJob): Promise<RoadEnd> {
  const { peeled, sink, sourceBytes, progress, sourceIsWhole, startOutput, onPlaced, onTaken, pace } = job;
  const isPlain = peeled.layers.length === 0;
  // Under compression the size shows only at the end: the sink bounds what it takes.
  if (startOutput === undefined) await sink.begin(isPlain ? (sourceBytes ?? 0) : 0);
  enterStage(progress, "transferring", 0, 1, sourceBytes);
  let offset = startOutput ?? 0;
  for await (const chunk of peeled.body as AsyncIterable<Buffer>) {
    await sink.write(offset, chunk);
    offset += chunk.length;
    giveBack(chunk);
    onPlaced?.(offset);
    if (isPlain) onTaken?.(offset);
    await pace?.();
    progress.bytesDone = progress.bytesRead;
    progress.bytesWritten = sink.writtenBytes ?? offset;
  }
  await sourceIsWhole();
  return { kind: "poured", virtualSizeBytes: offset };
}
