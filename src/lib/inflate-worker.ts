// Thread: unpacks raw deflate in its process's memory, told by addresses which whoever asks holds until it is answered.
import { parentPort, workerData } from "node:worker_threads";
import type { InflateThreadData } from "./inflate-thread.ts";
import { numbersOfPiece, unusable } from "./inflate-thread.ts";
import { makeInflater } from "./syscalls-inflate.ts";

const inflater = makeInflater((workerData as InflateThreadData).windowBits);
if (inflater) {
  parentPort?.on("message", (pieces: Float64Array) => {
    const used = new Float64Array(pieces.length / numbersOfPiece);
    for (const index of used.keys()) {
      const [input = 0, inputBytes = 0, into = 0, intoBytes = 0] = pieces.subarray(index * numbersOfPiece);
      used[index] = inflater.inflateAt(input, inputBytes, into, intoBytes) ?? unusable;
    }
    parentPort?.postMessage(used, [used.buffer]);
  });
  parentPort?.postMessage("ready");
}
