// Disks in buffers that go round and lie in step with the target, as sources give them: written past the page cache where that can
// be, in any order, and over one another.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesystemSink } from "../../../src/datapath/sinks/index.ts";
import { MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import { giveBack, handOn, largeBuffer } from "../../../src/lib/buffers.ts";
import { makeExt4, noLoops } from "../../support/loop.ts";
import { SIZE, stands } from "../../support/sink-stands.ts";
import { numbersFrom } from "../../support/sparse-image.ts";

const seeds = process.env.CDI_TEST_LONG ? 200 : 20;
for (const { name, make, roots = false } of stands) {
  describe.skipIf(roots && noLoops)(`in step with ${name}`, () => {
    test(
      `${seeds} disks written in any order, over one another too, read as they were written`,
      { timeout: seeds * 3000 },
      async () => {
        const { open, read } = await make();
        for (let seed = 1; seed <= seeds; seed += 1) {
          const number = numbersFrom(seed);
          const next = (end: number): number => Math.floor(number() * end);
          const sink = await open();
          await sink.begin(SIZE);
          const wanted = Buffer.alloc(SIZE);
          let at = 0;
          for (let write = 0; write < 60; write += 1) {
            // Mostly on from the last one, in buffers that go round and in step with the target, as sources give them.
            if (next(5) === 0) at = next(SIZE - 2 * MIB);
            if (at > SIZE - 2 * MIB) at = 0;
            if (next(4) === 0) at -= at % 4096;
            const start = next(3) === 0 ? 0 : at % 4096;
            const length = next(3) === 0 ? 1 + next(200_000) : MIB - start - (next(2) === 0 ? 0 : next(5000));
            const part = handOn(largeBuffer(), start + length, start);
            part.fill(1 + next(255));
            if (next(3) === 0) part.fill(0, next(length));
            part.copy(wanted, at);
            await sink.write(at, part);
            giveBack(part);
            if (next(12) === 0) {
              const seen = Buffer.alloc(MIB);
              await sink.read?.(at, seen);
              expect(seen.equals(wanted.subarray(at, at + MIB)), `seed ${seed}`).toBe(true);
            }
            if (next(12) === 0) {
              await sink.zero(at, length);
              wanted.fill(0, at, at + length);
            }
            at += length;
          }
          await sink.commit();
          expect((await read()).subarray(0, SIZE).equals(wanted), `seed ${seed}`).toBe(true);
        }
      },
    );
  });
}

test.skipIf(noLoops)(
  "a volume that fills up past the page cache is TargetFull too, and nothing of it stays",
  async () => {
    const folder = await makeExt4(32 * MIB);
    const sink = await filesystemSink({ folder });
    await sink.begin(sink.availableBytes);
    await writeFile(join(folder, "neighbour"), Buffer.alloc(16 * MIB, 1));
    const full = { code: "TargetFull", message: expect.stringContaining("no space left on device") };
    const pour = async (): Promise<void> => {
      for (let at = 0; at + MIB <= sink.availableBytes; at += MIB) {
        const part = handOn(largeBuffer().fill(7), MIB);
        await sink.write(at, part).finally(() => giveBack(part));
      }
      await sink.commit();
    };
    await expect(pour()).rejects.toMatchObject(full);
    await expect(sink.commit()).rejects.toMatchObject(full);
    await sink.discard();
    expect(await readdir(folder)).toEqual(["lost+found", "neighbour"]);
  },
);
