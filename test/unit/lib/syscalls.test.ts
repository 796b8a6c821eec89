// The system-call door: both ways through it do the same, and errors carry errno's names.
import { open, stat, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { isUnsupported, syscalls, syscallsAvailable, toolSyscalls } from "../../../src/lib/syscalls.ts";
import { makeFolder, makeLoop, noLoops } from "../../support/loop.ts";

const MIB = 1024 * 1024;

async function makeFile(sizeBytes: number): Promise<{ path: string; handle: FileHandle }> {
  const path = join(await makeFolder(), "file");
  await writeFile(path, Buffer.alloc(sizeBytes, 1));
  const handle = await open(path, "r+");
  onTestFinished(() => handle.close());
  return { path, handle };
}

test("koffi loads here", () => {
  expect(syscallsAvailable()).toEqual({ native: true });
});

for (const [name, calls] of [
  ["native", syscalls()],
  ["tools", toolSyscalls()],
] as const) {
  describe(`system calls by ${name}`, () => {
    test("plain allocation extends, keep-size does not", async () => {
      const { path, handle } = await makeFile(4096);
      await calls.allocate(handle.fd, "keep-size", 0, MIB);
      expect(await stat(path)).toMatchObject({ size: 4096 });
      expect((await stat(path)).blocks * 512).toBeGreaterThanOrEqual(MIB);
      await calls.allocate(handle.fd, "plain", 0, 2 * MIB);
      expect(await stat(path)).toMatchObject({ size: 2 * MIB });
    });

    test("a punched range is a hole of zeros", async () => {
      const { path, handle } = await makeFile(2 * MIB);
      await calls.allocate(handle.fd, "punch", MIB / 2, MIB);
      expect((await stat(path)).blocks * 512).toBeLessThan(1.1 * MIB);
      const bytes = Buffer.alloc(2 * MIB);
      await handle.read(bytes, 0, bytes.length, 0);
      expect(bytes.subarray(MIB / 2, 1.5 * MIB).equals(Buffer.alloc(MIB))).toBe(true);
      expect(bytes[MIB / 2 - 1]).toBe(1);
      expect(bytes[1.5 * MIB]).toBe(1);
    });

    test("errors carry their names", async () => {
      const { handle } = await makeFile(4096);
      expect(() => calls.deviceSizeBytes(handle.fd)).toThrow(expect.objectContaining({ code: "ENOTTY" }));
      const huge = calls.allocate(handle.fd, "plain", 0, 2 ** 52);
      await expect(huge).rejects.toMatchObject({ code: expect.stringMatching(/^(ENOSPC|EFBIG)$/) });
      const nullDevice = await open("/dev/null", "r+");
      onTestFinished(() => nullDevice.close());
      const refused: unknown = await calls.allocate(nullDevice.fd, "punch", 0, 4096).catch((cause: unknown) => cause);
      expect(isUnsupported(refused)).toBe(true);
    });

    test("writeback and cache advice are accepted", async () => {
      const { handle } = await makeFile(MIB);
      await calls.startWriteback(handle.fd, 0, MIB);
      await calls.awaitWriteback(handle.fd, 0, MIB);
      await calls.dropCache(handle.fd, 0, MIB);
    });

    for (const blockBytes of [512, 4096] as const) {
      test.skipIf(noLoops)(`a device of ${blockBytes} tells its size and block`, async () => {
        const { device } = await makeLoop({ sizeBytes: 8 * MIB, blockBytes, fill: "zeros" });
        const handle = await open(device, "r+");
        onTestFinished(() => handle.close());
        expect(calls.deviceSizeBytes(handle.fd)).toBe(8 * MIB);
        expect(calls.logicalBlockBytes(handle.fd)).toBe(blockBytes);
      });
    }
  });
}

test("native: data and holes are found, offsets past 4 GiB included", async () => {
  const { handle } = await makeFile(4096);
  const far = 5 * 2 ** 30;
  await handle.write(Buffer.alloc(4096, 1), 0, 4096, far);
  await handle.truncate(far + MIB);
  expect(await syscalls().nextHole(handle.fd, 0)).toBe(4096);
  expect(await syscalls().nextData(handle.fd, 4096)).toBe(far);
  expect(await syscalls().nextData(handle.fd, far + 4096)).toBeUndefined();
});

test.skipIf(noLoops)("native: a discarded device gives its space back", async () => {
  const loop = await makeLoop({ sizeBytes: 8 * MIB });
  const handle = await open(loop.device, "r+");
  onTestFinished(() => handle.close());
  await syscalls().discardBlocks(handle.fd, 0, 8 * MIB);
  expect(await loop.allocatedBytes()).toBe(0);
});
