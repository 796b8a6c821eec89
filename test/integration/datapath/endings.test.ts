// However an import ends - well, badly, early, while everything waits - no tool, listener or half-written disk outlives it.
import { getEventListeners } from "node:events";
import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { fileSource } from "../../../importer/sources/index.ts";
import { readImageInfo, type Sink } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import { bring, bytesSource, distantFile, failureOf, makePlace, type Place } from "../../support/bring.ts";
import { livingChildren } from "../../support/child-processes.ts";
import { makeImages, seededBytes, wrap, wrappings, xzOf, type Wrapping } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";

const MIB = 1024 * 1024;
const compressions = ["gz", "xz", "zst"] as const;
/** Data without end in sight, and zeros: any decoder has much to give. */
const raw = Buffer.concat([seededBytes(3 * MIB, "raw"), Buffer.alloc(5 * MIB), seededBytes(MIB, "tail")]);

const wrapped = new Map<Wrapping, Promise<Buffer>>();
/** The disk above, compressed once. */
function rawUnder(wrapping: Wrapping): Promise<Buffer> {
  const making = wrapped.get(wrapping) ?? wrap(raw, wrapping);
  wrapped.set(wrapping, making);
  return making;
}

/** The place's sink, whose write does something else. */
const withWrite = (place: Place, write: Sink["write"]): Place => ({
  ...place,
  sink: { ...place.sink, availableBytes: place.sink.availableBytes, write },
});
const nothingLeft = async (place: Place, signal?: AbortSignal): Promise<void> => {
  expect(livingChildren()).toEqual([]);
  expect(await place.left()).toEqual([]);
  if (signal) expect(getEventListeners(signal, "abort")).toEqual([]);
};

describe("nothing outlives an import", () => {
  test.for(compressions)("%s that succeeds", async (wrapping) => {
    const place = await makePlace();
    const { signal } = new AbortController();
    await bring(bytesSource(await rawUnder(wrapping)), place, { signal });
    expect(livingChildren()).toEqual([]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect((await place.disk()).equals(raw)).toBe(true);
  });

  test.for(compressions)("%s that is cut", async (wrapping) => {
    const place = await makePlace();
    const { signal } = new AbortController();
    const bytes = (await rawUnder(wrapping)).subarray(0, -MIB);
    expect((await failureOf(bring(bytesSource(bytes), place, { signal }))).code).toBe("ImageCorrupt");
    await nothingLeft(place, signal);
  });

  test.for(compressions)("%s into a target that fails", async (wrapping) => {
    const place = await makePlace();
    const { signal } = new AbortController();
    const failing = withWrite(place, () => Promise.reject(new Fault("TargetIo", "the disk is on fire")));
    const act = bring(bytesSource(await rawUnder(wrapping)), failing, { signal });
    expect(await failureOf(act)).toEqual({ code: "TargetIo", message: "the disk is on fire" });
    await nothingLeft(place, signal);
  });

  // Not xz: it may wait for input while its threads still work, and then gives nothing to write.
  test.for(["gz", "zst"] as const)(
    "%s into a target that fails, while the source says nothing more",
    async (wrapping) => {
      const place = await makePlace();
      const { signal } = new AbortController();
      const failing = withWrite(place, () => Promise.reject(new Fault("TargetIo", "the disk is on fire")));
      const bytes = (await rawUnder(wrapping)).subarray(0, 2 * MIB);
      const source = bytesSource(bytes, { after: "stall", sizeBytes: 3 * MIB });
      expect((await failureOf(bring(source, failing, { signal }))).code).toBe("TargetIo");
      await nothingLeft(place, signal);
    },
  );

  test.for(wrappings)("%s, aborted while it is written", async (wrapping) => {
    const place = await makePlace();
    const stop = new AbortController();
    const stopping = withWrite(place, async (offset, bytes) => {
      await place.sink.write(offset, bytes);
      stop.abort(new Error("stopped by the test"));
    });
    const act = bring(bytesSource(await rawUnder(wrapping)), stopping, { signal: stop.signal });
    expect((await failureOf(act)).message).toBe("stopped by the test");
    await nothingLeft(place, stop.signal);
  });

  test.for(wrappings)("%s, aborted while the source says nothing more", async (wrapping) => {
    const place = await makePlace();
    const stop = new AbortController();
    const bytes = (await rawUnder(wrapping)).subarray(0, MIB);
    // A turn later, when the bytes are on their way through the decoder.
    const onStall = (): void => void setImmediate(() => stop.abort(new Error("stopped by the test")));
    const source = bytesSource(bytes, { after: "stall", sizeBytes: 9 * MIB, onStall });
    const act = bring(source, place, { signal: stop.signal });
    expect((await failureOf(act)).message).toBe("stopped by the test");
    await nothingLeft(place, stop.signal);
  });

  test("a convert, aborted in the middle", async () => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 64 * MIB, extents: 3000 });
    const place = await makePlace();
    const stop = new AbortController();
    const lend = place.sink.lend.bind(place.sink);
    const sink: Sink = {
      ...place.sink,
      availableBytes: place.sink.availableBytes,
      async lend(bytes) {
        const loan = await lend(bytes);
        const watch = setInterval(() => {
          if (!livingChildren().includes("qemu-img")) return;
          clearInterval(watch);
          stop.abort(new Error("stopped by the test"));
        }, 1);
        return loan;
      },
    };
    const source = distantFile(await images.file("qcow2-compressed", "gz"));
    const act = bring(source, { ...place, sink }, { signal: stop.signal, road: "staged" });
    expect((await failureOf(act)).message).toBe("stopped by the test");
    await nothingLeft(place, stop.signal);
  });

  test.for<{ when: string; bytes: () => Promise<Buffer>; code: string; path?: string }>([
    { when: "a page under xz", bytes: () => xzOf(Buffer.from(`<html>${" ".repeat(MIB)}`)), code: "NotAnImage" },
    { when: "too little under xz", bytes: () => xzOf(Buffer.alloc(511, 1)), code: "ImageTooShort" },
    { when: "a wrong name", bytes: () => rawUnder("xz"), path: "/disk.qcow2.xz", code: "NotAnImage" },
    {
      when: "a VMDK that is none but by its mark",
      bytes: () => xzOf(Buffer.concat([Buffer.from("KDMV"), raw])),
      code: "ImageRefused",
    },
    {
      when: "five layers of xz",
      bytes: async () => await xzOf(await xzOf(await xzOf(await xzOf(await rawUnder("xz"))))),
      code: "ImageRefused",
    },
  ])("$when", async ({ bytes, code, path = "/disk" }) => {
    const place = await makePlace();
    const { signal } = new AbortController();
    expect((await failureOf(bring(bytesSource(await bytes(), { path }), place, { signal }))).code).toBe(code);
    await nothingLeft(place, signal);
  });
});

describe("an error of the source stays its own", () => {
  const layered: Readonly<Record<string, () => Promise<Buffer>>> = {
    plain: () => rawUnder("plain"),
    gz: () => rawUnder("gz"),
    xz: () => rawUnder("xz"),
    zst: () => rawUnder("zst"),
    "gz over xz": async () => await wrap(await rawUnder("xz"), "gz"),
    "xz over zst": async () => await wrap(await rawUnder("zst"), "xz"),
  };
  // Before the head is there, and behind it.
  const places = Object.keys(layered).flatMap((layers) => [50_000, 2 * MIB].map((after) => ({ layers, after })));

  test.for(places)("$layers, failing after $after bytes", async ({ layers, after }) => {
    const bytes = ((await layered[layers]?.()) ?? raw).subarray(0, after);
    const place = await makePlace();
    const source = bytesSource(bytes, {
      after: new Fault("SourceStalled", "no byte for a while"),
      sizeBytes: undefined,
    });
    expect(await failureOf(bring(source, place))).toEqual({ code: "SourceStalled", message: "no byte for a while" });
    await nothingLeft(place);
  });

  test.for(places)("$layers, ending too early after $after bytes", async ({ layers, after }) => {
    const whole = (await layered[layers]?.()) ?? raw;
    const place = await makePlace();
    const source = bytesSource(whole.subarray(0, after), { sizeBytes: whole.length });
    expect(await failureOf(bring(source, place))).toEqual({
      code: "SourceCut",
      message: `bytes of the test ended at byte ${after} of ${whole.length}`,
    });
    await nothingLeft(place);
  });

  test("more bytes than announced are told as such", async () => {
    const place = await makePlace();
    const source = bytesSource(await rawUnder("gz"), { sizeBytes: MIB });
    expect((await failureOf(bring(source, place))).code).toBe("SourceSizeUnknown");
    await nothingLeft(place);
  });
});

describe("looking at a head only", () => {
  test.for(wrappings)("%s: of a large image no more than the first MiB", async (wrapping) => {
    const bytes = await wrap(Buffer.concat([seededBytes(4 * MIB, "large"), Buffer.alloc(8 * MIB)]), wrapping);
    const path = `${await makeFolder()}/disk`;
    await writeFile(path, bytes);
    const source = fileSource(path, MIB);
    const { signal } = new AbortController();
    const info = await readImageInfo(source, signal);
    expect(info).toMatchObject({
      format: "raw",
      layers: wrapping === "plain" ? [] : [wrapping],
      sizeBytes: bytes.length,
    });
    expect(livingChildren()).toEqual([]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await source.close();
  });

  test.for(wrappings)("%s: a qcow2 tells its header", async (wrapping) => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 4 * MIB + 512 });
    const { signal } = new AbortController();
    const info = await readImageInfo(distantFile(await images.file("qcow2-zstd", wrapping)), signal);
    expect(info).toMatchObject({
      format: "qcow2",
      virtualSizeBytes: 4 * MIB + 512,
      qcow2: {
        version: 3,
        clusterBytes: 65536,
        compression: "zstd",
        extendedL2: false,
        dirty: false,
        corrupt: false,
        lazyRefcounts: false,
      },
    });
    expect(livingChildren()).toEqual([]);
  });

  test("a plain raw disk tells its size, a compressed one does not", async () => {
    const { signal } = new AbortController();
    expect(await readImageInfo(bytesSource(raw), signal)).toMatchObject({
      format: "raw",
      virtualSizeBytes: raw.length,
    });
    expect(await readImageInfo(bytesSource(await rawUnder("gz")), signal)).not.toHaveProperty("virtualSizeBytes");
  });

  test("what is no disk is refused", async () => {
    const page = Buffer.from(`<html>${" ".repeat(600)}`);
    const { signal } = new AbortController();
    expect((await failureOf(readImageInfo(bytesSource(page), signal))).code).toBe("NotAnImage");
  });
});
