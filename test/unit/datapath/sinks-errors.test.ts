// What a sink does when the kernel says no: one error, told once, never covered up by another sync.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blockSink, filesystemSink } from "../../../src/datapath/sinks/index.ts";
import { MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import { SyscallError, syscalls } from "../../../src/lib/syscalls.ts";
import type { Syscalls } from "../../../src/lib/syscalls.ts";
import { makeFolder } from "../../support/loop.ts";

/** A disk whose writeback fails from the second call on. */
function failingWriteback(): { calls: Syscalls; asked: () => number } {
  let asked = 0;
  const calls: Syscalls = {
    ...syscalls(),
    awaitWriteback: (fd, offset, length) => {
      asked += 1;
      if (asked > 1) return Promise.reject(new SyscallError("EIO", "sync_file_range"));
      return syscalls().awaitWriteback(fd, offset, length);
    },
  };
  return { calls, asked: () => asked };
}

async function writeUntilError(sink: { write(offset: number, bytes: Uint8Array): Promise<void> }): Promise<void> {
  const bytes = Buffer.alloc(MIB, 3);
  for (let at = 0; at < 80 * MIB; at += MIB) await sink.write(at, bytes);
}

describe("a failed writeback", () => {
  test("ends the file for good: no write, no sync, no disk.img", async () => {
    const folder = await makeFolder();
    const { calls, asked } = failingWriteback();
    const sink = await filesystemSink({ folder, calls });
    await sink.begin(80 * MIB);
    await expect(writeUntilError(sink)).rejects.toMatchObject({ code: "TargetIo" });
    const before = asked();
    await expect(sink.write(0, Buffer.alloc(MIB))).rejects.toMatchObject({ code: "TargetIo" });
    await expect(sink.zero(0, MIB)).rejects.toMatchObject({ code: "TargetIo" });
    await expect(sink.commit()).rejects.toMatchObject({ code: "TargetIo" });
    expect(asked()).toBe(before);
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test("of a small write is told by the next call or by commit", async () => {
    const folder = await makeFolder();
    const { calls } = failingWriteback();
    const sink = await filesystemSink({ folder, calls });
    await sink.begin(80 * MIB);
    const act = async () => {
      for (let at = 0; at < 80 * MIB; at += 65_536) await sink.write(at, Buffer.alloc(65_536, 3));
      await sink.commit();
    };
    await expect(act()).rejects.toMatchObject({ code: "TargetIo" });
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test("of a device: its ends are spoiled through a fresh descriptor", async () => {
    const path = join(await makeFolder(), "device");
    await writeFile(path, Buffer.alloc(80 * MIB, 9));
    const { calls } = failingWriteback();
    const sink = await blockSink({ path, calls });
    await sink.begin(80 * MIB);
    await expect(writeUntilError(sink)).rejects.toMatchObject({ code: "TargetIo" });
    await sink.discard();
    const disk = await readFile(path);
    expect(disk.subarray(0, MIB).equals(Buffer.alloc(MIB))).toBe(true);
    expect(disk.subarray(-MIB).equals(Buffer.alloc(MIB))).toBe(true);
  });
});

describe("preallocation without fallocate", () => {
  const calls: Syscalls = {
    ...syscalls(),
    allocate: () => Promise.reject(new SyscallError("EOPNOTSUPP", "fallocate")),
  };
  for (const lent of [false, true]) {
    test(`writes the zeros by hand${lent ? ", before it lends the file" : ""}`, async () => {
      const folder = await makeFolder();
      const sink = await filesystemSink({ folder, requestBytes: 8 * MIB, preallocate: true, calls });
      if (lent) await sink.lend(3 * MIB + 512);
      else {
        await sink.begin(3 * MIB + 512);
        await sink.write(MIB, Buffer.alloc(MIB, 1));
      }
      const result = await sink.commit();
      expect(result).toMatchObject({ sizeBytes: 8 * MIB, preallocated: true });
      expect(result.allocatedBytes).toBeGreaterThanOrEqual(8 * MIB);
    });
  }
});

test("a folder that is not there is a fault with its place", async () => {
  const folder = join(await makeFolder(), "missing");
  await expect(filesystemSink({ folder })).rejects.toMatchObject({
    code: "TargetIo",
    message: expect.stringContaining(folder),
  });
  await expect(blockSink({ path: folder })).rejects.toMatchObject({ code: "TargetIo" });
});
