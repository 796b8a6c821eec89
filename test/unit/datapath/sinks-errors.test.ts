// What a sink does when the kernel says no: one error, told once, never covered up by another sync.
import { open, readdir, readFile, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { blockSink, filesystemSink } from "../../../src/datapath/sinks/index.ts";
import { isZero, MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import { SyscallError, syscalls } from "../../../src/lib/syscalls.ts";
import type { Sink } from "../../../src/datapath/types.ts";
import type { Syscalls } from "../../../src/lib/syscalls.ts";
import { makeFolder } from "../../support/loop.ts";

/** A disk whose writeback fails from the second call on. */
function failingWriteback(): { calls: Syscalls; asked: () => number } {
  let asked = 0;
  const calls: Syscalls = {
    ...syscalls(),
    // What goes past the page cache is never written back.
    placeInPage: () => undefined,
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

const errnos = [
  { errno: "ENOSPC", code: "TargetFull", text: "no space left on device" },
  { errno: "EDQUOT", code: "QuotaExceeded", text: "disk quota exceeded" },
  { errno: "EIO", code: "TargetIo", text: "input/output error" },
  { errno: "EROFS", code: "TargetReadOnly", text: "read-only file system" },
  { errno: "ESTALE", code: "TargetIo", text: "stale file handle" },
] as const;

type Errno = (typeof errnos)[number]["errno"];
const failure = (errno: Errno, name: string) => () => Promise.reject(new SyscallError(errno, name));

/** Calls of the kernel that fail; the others are this machine's. */
const failingCalls: Readonly<Record<string, (errno: Errno) => Partial<Syscalls>>> = {
  "fallocate, as it preallocates": (errno) => ({ allocate: failure(errno, "fallocate") }),
  "the start of writeback": (errno) => ({ startWriteback: failure(errno, "sync_file_range") }),
  "the wait for writeback": (errno) => ({ awaitWriteback: failure(errno, "sync_file_range") }),
  "leaving the page cache": (errno) => ({ dropCache: failure(errno, "posix_fadvise") }),
};

/** Fails what a descriptor is asked to do. A handle is opened by the sink itself, so its prototype is where to reach it. */
async function withHandleFailing(method: "write" | "datasync" | "sync" | "truncate" | "chmod", errno: Errno) {
  const probe = await open(import.meta.filename);
  const handles = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const error = Object.assign(new Error(`${errno}: injected, ${method}`), { code: errno });
  const spy = vi.spyOn(handles, method).mockRejectedValue(error);
  onTestFinished(() => spy.mockRestore());
}

describe.each(errnos)("$errno is $code", ({ errno, code, text }) => {
  const expected = {
    code,
    message: expect.stringMatching(new RegExp(`^unable to write to file: .*${text}$`)) as string,
  };
  const fill = async (sink: Sink): Promise<void> => {
    await sink.begin(80 * MIB);
    await writeUntilError(sink);
    await sink.commit();
  };

  test.each(Object.keys(failingCalls))("at %s", async (what) => {
    const folder = await makeFolder();
    const calls = { ...syscalls(), ...failingCalls[what]?.(errno) };
    const sink = await filesystemSink({ folder, calls, preallocate: what.startsWith("fallocate") });
    await expect(fill(sink)).rejects.toMatchObject(expected);
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(["write", "sync", "truncate", "chmod"] as const)("at %s of a file", async (method) => {
    const folder = await makeFolder();
    const sink = await filesystemSink({ folder });
    await withHandleFailing(method, errno);
    await expect(fill(sink)).rejects.toMatchObject(expected);
    vi.restoreAllMocks();
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(["write", "datasync"] as const)("at %s of a device, whose ends are spoiled then", async (method) => {
    const path = join(await makeFolder(), "device");
    await writeFile(path, Buffer.alloc(80 * MIB, 9));
    const sink = await blockSink({ path });
    await withHandleFailing(method, errno);
    await expect(fill(sink)).rejects.toMatchObject(expected);
    vi.restoreAllMocks();
    await sink.discard();
    const disk = await readFile(path);
    expect(isZero(disk, 0, MIB) && isZero(disk, disk.length - MIB, MIB)).toBe(true);
  });

  test("at the punching that empties a device", async () => {
    const path = join(await makeFolder(), "device");
    await writeFile(path, Buffer.alloc(4 * MIB, 9));
    const sink = await blockSink({ path, calls: { ...syscalls(), allocate: failure(errno, "fallocate") } });
    await expect(sink.begin(4 * MIB)).rejects.toMatchObject(expected);
    await sink.discard();
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
