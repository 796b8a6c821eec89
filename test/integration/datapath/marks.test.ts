// What qemu marked an image with: lazy refcounts, left open, damaged. Told in the log on each road and by `cdi inspect`, and the
// disk is right all the same. Real images of qemu's own.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { findTool, readImageInfo, type ImportJob, type Source } from "../../../src/datapath/index.ts";
import { silentLog, type Log } from "../../../src/lib/log.ts";
import { bring, bytesSource, distantFile, makePlace } from "../../support/bring.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { makeFolder } from "../../support/loop.ts";
import { sourceOf } from "../sources/http-support.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const diskBytes = 8 * MIB;
const noQemu = ["qemu-img", "qemu-io"].find((tool) => !findTool(tool));
const expected = Buffer.alloc(diskBytes);
expected.fill(0xab, MIB, MIB + 200_704);

interface Row {
  when: string;
  lazy: "on" | "off";
  /** How qemu-io's run over it ends. */
  end: "quit" | "abort";
  /** Or-ed into the incompatible features, as qemu does when it finds damage. */
  bits?: number;
  marks: { dirty: boolean; corrupt: boolean; lazyRefcounts: boolean };
  /** One for each notice. */
  told: string[];
}

const stale = "marked as dirty: it was not closed properly, and its refcounts may be stale";
const rows: Row[] = [
  {
    when: "closed properly",
    lazy: "off",
    end: "quit",
    marks: { dirty: false, corrupt: false, lazyRefcounts: false },
    told: [],
  },
  {
    when: "closed properly, with lazy refcounts",
    lazy: "on",
    end: "quit",
    marks: { dirty: false, corrupt: false, lazyRefcounts: true },
    told: ["keeps its refcounts lazily"],
  },
  {
    when: "its writer was killed, with lazy refcounts",
    lazy: "on",
    end: "abort",
    marks: { dirty: true, corrupt: false, lazyRefcounts: true },
    told: [`${stale} (it keeps them lazily)`],
  },
  {
    when: "marked as corrupt",
    lazy: "off",
    end: "quit",
    bits: 2,
    marks: { dirty: false, corrupt: true, lazyRefcounts: false },
    told: ["marked as corrupt by qemu"],
  },
  {
    when: "marked as corrupt and dirty",
    lazy: "off",
    end: "quit",
    bits: 3,
    marks: { dirty: true, corrupt: true, lazyRefcounts: false },
    told: ["marked as corrupt by qemu", `${stale};`],
  },
];

async function imageOf({ lazy, end, bits = 0 }: Row): Promise<string> {
  const path = join(await makeFolder(), "disk.qcow2");
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `lazy_refcounts=${lazy}`, path, String(diskBytes)]);
  const words = ["-f", "qcow2", "-c", "write -q -P 0xab 1M 200704", "-c", "flush", "-c", end, path];
  // An abort is a signal, and no clean end.
  const failed = await run("qemu-io", words).then(
    () => false,
    () => true,
  );
  expect(failed).toBe(end === "abort");
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(79) | bits, 79);
  await writeFile(path, bytes);
  return path;
}

const ways: Record<string, (path: string) => Promise<{ source: Source; more?: Partial<ImportJob> }>> = {
  "by ranges": async (path) => {
    const server = await startHttpServer({ files: { "/disk.qcow2": await readFile(path) } });
    return { source: sourceOf(server.url("/disk.qcow2")) };
  },
  "in a stream": async (path) => ({ source: bytesSource(await readFile(path)) }),
  staged: (path) => Promise.resolve({ source: distantFile(path), more: { road: "staged" } }),
};

describe.skipIf(noQemu)(`marks of qemu${noQemu ? `: ${noQemu} is not installed (package qemu-utils)` : ""}`, () => {
  test.each(rows)("$when", async (row) => {
    const path = await imageOf(row);
    const probed = distantFile(path);
    onTestFinished(() => probed.close());
    expect((await readImageInfo(probed, new AbortController().signal)).qcow2).toMatchObject(row.marks);
    for (const [name, way] of Object.entries(ways)) {
      const told: string[] = [];
      const log: Log = { ...silentLog, warn: (message) => void told.push(message) };
      const { source, more = {} } = await way(path);
      const place = await makePlace();
      const { scratch: _, ...fields } = more;
      await bring(source, place, { ...fields, log });
      expect((await place.disk()).equals(expected), name).toBe(true);
      expect(told, name).toEqual(row.told.map((words) => expect.stringContaining(words)));
    }
  });
});
