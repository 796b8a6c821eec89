// importImage against real files, tools and a real sink: what lands is what qemu-img would give, and nothing lands of what failed.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { fileSource } from "../../../importer/sources/index.ts";
import {
  filesystemSink,
  importBlank,
  importImage,
  newProgress,
  overallFraction,
  type ImportJob,
  type Source,
} from "../../../src/datapath/index.ts";
import type { FaultCode } from "../../../src/lib/faults.ts";
import { silentLog, type Log } from "../../../src/lib/log.ts";
import {
  imageKinds,
  makeImages,
  rawByQemu,
  seededBytes,
  truncatedCopy,
  wrap,
  wrappings,
} from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";

const MIB = 1024 * 1024;
const sourceOf = (path: string): Source => {
  const source = fileSource(path);
  onTestFinished(() => source.close());
  return source;
};
/** As if the file came from afar: no shortcut past scratch. */
const distant = (path: string): Source => {
  const { localPath: _, ...source } = sourceOf(path);
  return source;
};

async function place(requestBytes?: number) {
  const [volume, scratch] = [await makeFolder(), await makeFolder()];
  const sink = await filesystemSink({ folder: volume, requestBytes });
  return { volume, scratch, sink };
}
type Place = Awaited<ReturnType<typeof place>>;

async function bring(source: Source, at: Place, more: Partial<ImportJob> = {}) {
  return await importImage({
    source,
    sink: at.sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
    scratch: { dir: at.scratch, fileName: "tmpimage" },
    ...more,
  });
}
async function failure(
  source: Source,
  at: Place,
  more: Partial<ImportJob> = {},
): Promise<{ code: FaultCode; message: string }> {
  const error: unknown = await bring(source, at, more).then(
    () => new Error("it succeeded"),
    (cause: unknown) => cause,
  );
  expect(await readdir(at.volume), "nothing half-written stays").toEqual([]);
  expect(await readdir(at.scratch), "scratch is left empty").toEqual([]);
  return error as { code: FaultCode; message: string };
}
const diskOf = (at: Place): Promise<Buffer> => readFile(join(at.volume, "disk.img"));

describe("every kind under every compression", () => {
  test.for(imageKinds.flatMap((kind) => wrappings.map((wrapping) => ({ kind, wrapping }))))(
    "$kind, $wrapping",
    async ({ kind, wrapping }) => {
      const images = await makeImages({ folder: await makeFolder(), sizeBytes: 6 * MIB + 512 });
      const at = await place();
      const done = await bring(distant(await images.file(kind, wrapping)), at, { digest: true });
      const disk = await diskOf(at);
      expect(disk.equals(images.expected(kind))).toBe(true);
      expect(done).toMatchObject({
        kind: "done",
        road: kind.startsWith("qcow2") ? "one-pass" : "straight",
        scratchPeakBytes: 0,
        format: kind.replace(/-.*/, ""),
        layers: wrapping === "plain" ? [] : [wrapping],
        virtualSizeBytes: disk.length,
        sha256: createHash("sha256").update(disk).digest("hex"),
      });
      expect(await readdir(at.volume)).toEqual(["disk.img"]);
      expect(await readdir(at.scratch)).toEqual([]);
    },
  );
});

test("a local qcow2 file is converted where it lies", async () => {
  const images = await makeImages({ folder: await makeFolder() });
  const at = await place();
  const done = await importImage({
    source: sourceOf(await images.file("qcow2-v3")),
    sink: at.sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
    road: "staged",
  });
  expect(done).toMatchObject({ kind: "done", road: "staged", scratchPeakBytes: 0 });
  expect((await diskOf(at)).equals(images.raw)).toBe(true);
});

test("layers inside layers come off, a fifth is refused", async () => {
  const folder = await makeFolder();
  const { raw } = await makeImages({ folder, sizeBytes: MIB });
  let bytes = raw;
  for (const layer of ["zst", "gz", "xz", "gz"] as const) bytes = await wrap(bytes, layer);
  const path = join(folder, "disk.img.zst.gz.xz.gz");
  await writeFile(path, bytes);
  const at = await place();
  expect(await bring(sourceOf(path), at)).toMatchObject({ layers: ["gz", "xz", "gz", "zst"] });
  expect((await diskOf(at)).equals(raw)).toBe(true);
  await writeFile(path, await wrap(bytes, "zst"));
  expect(await failure(sourceOf(path), await place())).toMatchObject({ code: "ImageRefused" });
});

describe("what compressors also write", () => {
  const raw = Buffer.concat([seededBytes(400_000, "parts"), Buffer.alloc(2 * MIB), seededBytes(777, "tail")]);
  const half = 300_001;
  const padding = Buffer.alloc(4096);
  const skippable = Buffer.from("502a4d1803000000616263", "hex");
  const both = async (wrapping: "gz" | "xz" | "zst"): Promise<[Buffer, Buffer]> => [
    await wrap(raw.subarray(0, half), wrapping),
    await wrap(raw.subarray(half), wrapping),
  ];
  test.for([
    { what: "gz members in a row", bytes: async () => Buffer.concat(await both("gz")) },
    { what: "gz with zero padding", bytes: async () => Buffer.concat([...(await both("gz")), padding]) },
    {
      what: "gz with other bytes behind it",
      bytes: async () => Buffer.concat([...(await both("gz")), seededBytes(999, "x")]),
      warns: true,
    },
    { what: "xz streams in a row, padded", bytes: async () => Buffer.concat([...(await both("xz")), padding]) },
    { what: "zst frames in a row", bytes: async () => Buffer.concat(await both("zst")) },
    {
      what: "zst frames between skippable ones, as pzstd writes",
      bytes: async () => Buffer.concat((await both("zst")).flatMap((frame) => [skippable, frame])),
    },
  ])("$what, its checksum over every byte", async ({ bytes, warns }) => {
    const sent = await bytes();
    const path = join(await makeFolder(), "disk");
    await writeFile(path, sent);
    const at = await place();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
    const checksum = `sha256:${createHash("sha256").update(sent).digest("hex")}`;
    expect(await bring(sourceOf(path), at, { checksum, log })).toMatchObject({ bytesRead: sent.length });
    expect((await diskOf(at)).equals(raw)).toBe(true);
    expect(warnings.length).toBe(warns ? 1 : 0);
  });
});

describe("damaged and cut sources", () => {
  test.for(
    (["gz", "xz", "zst"] as const).flatMap((wrapping) => [1, 200_000].map((missing) => ({ wrapping, missing }))),
  )("$wrapping without its last $missing bytes", async ({ wrapping, missing }) => {
    const images = await makeImages({ folder: await makeFolder() });
    const path = await truncatedCopy(await images.file("raw", wrapping), missing);
    const fault = await failure(sourceOf(path), await place());
    expect(fault.code).toBe("ImageCorrupt");
    expect(fault.message).toMatch(/^unable to decompress /);
  });

  test.for((["gz", "xz"] as const).map((wrapping) => ({ wrapping })))(
    "$wrapping with a byte changed",
    async ({ wrapping }) => {
      const images = await makeImages({ folder: await makeFolder() });
      const path = await images.file("raw", wrapping);
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 0x55, bytes.length >> 1);
      await writeFile(path, bytes);
      expect(await failure(sourceOf(path), await place())).toMatchObject({ code: "ImageCorrupt" });
    },
  );

  test.for(["qcow2-v2", "qcow2-v3", "qcow2-compressed", "qcow2-extended"] as const)(
    "%s without its last 300 KiB, where qemu-img would give zeros",
    async (kind) => {
      const images = await makeImages({ folder: await makeFolder() });
      const path = await truncatedCopy(await images.file(kind), 300 * 1024);
      expect(await failure(distant(path), await place())).toMatchObject({ code: "ImageTruncated" });
      expect(await failure(sourceOf(path), await place())).toMatchObject({ code: "ImageTruncated" });
    },
  );

  test("a compressed qcow2 cut inside its last compressed cluster never lands", async () => {
    const folder = await makeFolder();
    const [raw, packed] = [join(folder, "raw"), join(folder, "packed.qcow2")];
    // Hex digits halve under deflate, so that each cluster is stored compressed.
    await writeFile(raw, seededBytes(MIB, "digits").toString("hex"));
    await promisify(execFile)("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", raw, packed]);
    for (const missingBytes of [2000, 20_000]) {
      const cut = await truncatedCopy(packed, missingBytes);
      expect(["ImageTruncated", "ConversionFailed"]).toContain((await failure(distant(cut), await place())).code);
    }
  });

  test("a qcow2 whose last cluster is there in part reads as zeros behind it, as with qemu-img", async () => {
    const folder = await makeFolder();
    const images = await makeImages({ folder });
    const path = await truncatedCopy(await images.file("qcow2-v3"), 512);
    const at = await place();
    await bring(distant(path), at);
    expect((await diskOf(at)).equals(await rawByQemu(path, join(folder, "qemu.raw")))).toBe(true);
  });
});

describe("checksums", () => {
  test.for(["raw", "qcow2-v3"] as const)("a wrong one on %s leaves nothing", async (kind) => {
    const images = await makeImages({ folder: await makeFolder() });
    const path = await images.file(kind, "gz");
    const right = createHash("md5")
      .update(await readFile(path))
      .digest("hex");
    const wrong = "0".repeat(32);
    const fault = await failure(distant(path), await place(), { checksum: `md5:${wrong}` });
    expect(fault).toMatchObject({
      code: "ChecksumMismatch",
      message: `checksum validation failed: checksum mismatch: expected md5:${wrong}, calculated md5:${right}`,
    });
  });

  test("a wrong one on a local qcow2 file leaves nothing, the right one passes", async () => {
    const images = await makeImages({ folder: await makeFolder() });
    const path = await images.file("qcow2-v3");
    const right = createHash("sha512")
      .update(await readFile(path))
      .digest("hex");
    expect(await failure(sourceOf(path), await place(), { checksum: `sha1:${"0".repeat(40)}` })).toMatchObject({
      code: "ChecksumMismatch",
    });
    expect(await bring(sourceOf(path), await place(), { checksum: `SHA512:${right.toUpperCase()}` })).toMatchObject({
      kind: "done",
    });
  });
});

describe("before anything is written", () => {
  test("a staged image without scratch is an answer", async () => {
    const images = await makeImages({ folder: await makeFolder() });
    const at = await place();
    const { scratch: _, ...job } = {
      source: distant(await images.file("qcow2-v3", "gz")),
      sink: at.sink,
      progress: newProgress(),
      log: silentLog,
      signal: new AbortController().signal,
      preallocate: false,
      road: "staged" as const,
      scratch: undefined,
    };
    expect(await importImage(job)).toEqual({ kind: "scratchNeeded", road: "staged", format: "qcow2" });
    expect(await readdir(at.volume)).toEqual([]);
  });

  test.for([
    { kind: "raw", wrapping: "plain" },
    { kind: "qcow2-v3", wrapping: "zst" },
  ] as const)("$kind, $wrapping, larger than the target", async ({ kind, wrapping }) => {
    const images = await makeImages({ folder: await makeFolder() });
    const fault = await failure(distant(await images.file(kind, wrapping)), await place(MIB));
    const { length } = images.raw;
    expect(fault).toMatchObject({
      code: "TargetTooSmall",
      message: `virtual image size ${length} is larger than the reported available storage ${MIB}. A larger PVC is required`,
    });
  });

  test("compressed raw is bounded while it comes", async () => {
    const images = await makeImages({ folder: await makeFolder() });
    expect(await failure(sourceOf(await images.file("raw", "gz")), await place(MIB))).toMatchObject({
      code: "TargetTooSmall",
    });
  });
});

describe("what is a disk", () => {
  const noise = seededBytes(70_000, "noise");
  const vhdFooter = Buffer.alloc(512);
  vhdFooter.write("conectix", "latin1");
  test.for([
    { what: "noise", name: "disk", bytes: noise },
    { what: "noise named .qcow2", name: "disk.qcow2", bytes: noise, code: "NotAnImage" },
    { what: "noise named .qcow2.gz.xz", name: "disk.qcow2.gz.xz", bytes: noise, code: "NotAnImage" },
    { what: "noise named .qcow2, asked for as raw", name: "disk.qcow2", bytes: noise, format: "raw" },
    { what: "a fixed VHD", name: "disk.vhd", bytes: Buffer.concat([noise, vhdFooter]) },
    { what: "a .vhd without footer", name: "disk.vhd", bytes: noise, code: "NotAnImage" },
    { what: "a zip", name: "disk", bytes: Buffer.concat([Buffer.from("PK\u0003\u0004"), noise]), code: "NotAnImage" },
    { what: "a page", name: "disk.img", bytes: Buffer.from(`\n<!DOCTYPE html>${" ".repeat(600)}`), code: "NotAnImage" },
    { what: "511 bytes", name: "disk", bytes: noise.subarray(0, 511), code: "ImageTooShort" },
    {
      what: "a VMDK that is none but by its mark",
      name: "disk.vmdk",
      bytes: Buffer.concat([Buffer.from("KDMV"), noise]),
      code: "ImageRefused",
    },
  ] as const)("$what", async (row) => {
    const path = join(await makeFolder(), row.name);
    await writeFile(path, row.bytes);
    const at = await place();
    if ("code" in row) return expect((await failure(sourceOf(path), at)).code).toBe(row.code);
    await bring(sourceOf(path), at, "format" in row ? { format: row.format } : {});
    expect((await diskOf(at)).equals(row.bytes)).toBe(true);
  });
});

test("the source's own fault comes through the decoders", async () => {
  const images = await makeImages({ folder: await makeFolder() });
  for (const wrapping of wrappings) {
    const whole = sourceOf(await images.file("qcow2-v3", wrapping));
    const source: Source = {
      name: whole.name,
      path: whole.path,
      facts: (signal) => whole.facts(signal),
      close: () => whole.close(),
      async open(offset, signal) {
        const body = await whole.open(offset, signal);
        let passed = 0;
        body.on("data", (chunk: Buffer) => {
          passed += chunk.length;
          if (passed >= MIB) body.destroy(Object.assign(new Error("the line was cut"), { code: "ECONNRESET" }));
        });
        body.pause();
        return body;
      },
    };
    expect((await failure(source, await place())).message).toBe("the line was cut");
  }
});

test("an aborted import ends with the signal's reason and leaves nothing", async () => {
  const images = await makeImages({ folder: await makeFolder() });
  const stop = new AbortController();
  const source = distant(await images.file("raw", "xz"));
  const at = await place();
  const write = at.sink.write.bind(at.sink);
  const sink = {
    ...at.sink,
    availableBytes: at.sink.availableBytes,
    write: async (offset: number, bytes: Uint8Array) => {
      await write(offset, bytes);
      stop.abort(new Error("stopped by the test"));
    },
  };
  expect((await failure(source, { ...at, sink }, { signal: stop.signal })).message).toBe("stopped by the test");
});

test("the fraction only grows and stays under one", async () => {
  const images = await makeImages({ folder: await makeFolder() });
  const at = await place();
  const progress = newProgress();
  const seen: number[] = [];
  const watch = setInterval(() => seen.push(overallFraction(progress) ?? 0), 1);
  onTestFinished(() => clearInterval(watch));
  await bring(distant(await images.file("qcow2-v3", "gz")), at, { progress });
  seen.push(overallFraction(progress) ?? 0);
  expect(seen).toEqual(seen.toSorted((one, other) => one - other));
  expect(seen.at(-1)).toBeGreaterThan(0.9);
  expect(seen.at(-1)).toBeLessThan(1);
});

test("a blank disk is as large as the claim's usable part and reads as zeros", async () => {
  const folder = await makeFolder();
  const sink = await filesystemSink({ folder, requestBytes: 4 * MIB, overhead: 0.06 });
  const { sizeBytes } = await importBlank({
    sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
  });
  const disk = await readFile(join(folder, "disk.img"));
  expect(disk.length).toBe(sizeBytes);
  expect(sizeBytes).toBe(3 * MIB);
  expect(disk.equals(Buffer.alloc(sizeBytes))).toBe(true);
});
