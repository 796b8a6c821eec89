// A process killed in the middle of its writes: whatever it was told is on disk must be there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openStore } from "../../../../src/embedded/store/index.ts";

const writer = join(import.meta.dirname, "killed-writer.ts");

/** @returns the lines of a writer that was killed once it had said `lines` of them */
async function killAfter(dir: string, round: number, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, dir, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    if (said.split("\n").length > lines) child.kill("SIGKILL");
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  expect({ code, signal }).toEqual({ code: null, signal: "SIGKILL" });
  return said.split("\n").slice(0, -1);
}

test("kill -9 loses no acknowledged write", async () => {
  const dir = await mkdtemp(join(tmpdir(), "cdi-crash-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const expected = new Map<string, { count: number; revision: number }>();
  let highest = 0;
  for (const [round, lines] of [40, 333, 801].entries()) {
    for (const line of await killAfter(dir, round, lines)) {
      const [key = "", count, revision] = line.split(" ");
      expected.set(key, { count: Number(count), revision: Number(revision) });
      highest = Math.max(highest, Number(revision));
    }
    const store = await openStore({ dir });
    for (const [key, { count, revision }] of expected) {
      const row = store.get(key);
      // A later write of the same key may have reached the disk without its acknowledgement reaching us.
      expect(row?.revision, key).toBeGreaterThanOrEqual(revision);
      expect(row?.value["count"], key).toBeGreaterThanOrEqual(count);
      expect(row?.value["revision"]).toBe(row?.revision);
    }
    expect(store.revision).toBeGreaterThan(highest);
    await store.close();
  }
  expect(expected.size).toBeGreaterThan(100);
});
