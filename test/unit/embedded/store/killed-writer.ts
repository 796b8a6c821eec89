// Writes without end into the store of the folder given, and says each acknowledged write on stdout: for the crash test.
import { writeSync } from "node:fs";
import { openStore } from "../../../../src/embedded/store/index.ts";

const store = await openStore({ dir: process.argv[2] ?? "" });
const round = process.argv[3] ?? "0";
const write = async (lane: number): Promise<never> => {
  for (let count = 0; ; count += 1) {
    const key = `lane/${lane}/${round}/${count % 50}`;
    const row = await store.put(key, (revision) => ({ lane, count, revision, padding: "x".repeat(2000) }));
    writeSync(1, `${key} ${count} ${row.revision}\n`);
  }
};
await Promise.all([0, 1, 2, 3].map(write));
