// The tar walker: every dialect of headers, sparse maps in all of theirs, and what is refused.
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { walkTar } from "../../../../src/datapath/tar/walk.ts";
import type { TarEntry } from "../../../../src/datapath/tar/entry.ts";
import { seededBytes } from "../../../support/images.ts";
import { gnuTar, padded, paxHeader, tarEnd, tarFile, tarHeader } from "../../../support/tars.ts";

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

interface Seen extends Pick<TarEntry, "name" | "type" | "sizeBytes" | "linkname" | "mode"> {
  body: Buffer;
  storedAt: number;
}

async function walkAll(bytes: Buffer, pieceBytes = 700): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const entry of walkTar(inPieces(bytes, pieceBytes))) {
    const { name, type, sizeBytes, linkname, mode, storedAt } = entry;
    const chunks: Buffer[] = [];
    for await (const chunk of entry.body()) chunks.push(chunk);
    seen.push({ name, type, sizeBytes, linkname, mode, storedAt, body: Buffer.concat(chunks) });
  }
  return seen;
}

const shown = (entries: readonly Seen[]): string[] =>
  entries.map(
    ({ name, type, sizeBytes, linkname }) => `${type} ${name} ${sizeBytes}${linkname ? ` -> ${linkname}` : ""}`,
  );

const long = `${"folder/".repeat(40)}file`;

describe("names and types", () => {
  test.each([
    { when: "v7, without magic", bytes: tarFile({ name: "a", flag: "\0", magic: "" }, "hi"), is: ["file a 2"] },
    { when: "ustar with a prefix", bytes: tarFile({ name: "b", prefix: "some/folder" }), is: ["file some/folder/b 0"] },
    {
      when: "GNU's magic, whose field of the prefix holds times",
      bytes: tarFile({ name: "c", magic: "ustar  \0", prefix: "14512345670" }),
      is: ["file c 0"],
    },
    {
      when: "star's shorter prefix",
      bytes: tarFile({
        name: "d",
        prefix: "p",
        also: [
          [345 + 131, "00000000000\0"],
          [508, "tar\0"],
        ],
      }),
      is: ["file p/d 0"],
    },
    {
      when: "GNU's long name and long link",
      bytes: Buffer.concat([
        tarFile({ name: "././@LongLink", flag: "L" }, `${long}\0`),
        tarFile({ name: "././@LongLink", flag: "K" }, `${long}2\0`),
        tarFile({ name: "cut", flag: "2", linkname: "cut" }),
      ]),
      is: [`symlink ${long} 0 -> ${long}2`],
    },
    {
      when: "PAX path, linkpath and size",
      bytes: Buffer.concat([
        paxHeader([
          ["path", "näme"],
          ["size", "3"],
        ]),
        tarHeader({ name: "short", size: 0 }),
        padded("abc"),
        tarFile({ name: "next" }),
      ]),
      is: ["file näme 3", "file next 0"],
    },
    {
      when: "global PAX records, until one takes them back",
      bytes: Buffer.concat([
        paxHeader(
          [
            ["comment", "x"],
            ["linkpath", "there"],
          ],
          "g",
        ),
        tarFile({ name: "a", flag: "2" }),
        paxHeader([["linkpath", ""]]),
        tarFile({ name: "b", flag: "2", linkname: "own" }),
        tarFile({ name: "c", flag: "2", linkname: "own" }),
      ]),
      is: ["symlink a 0 -> there", "symlink b 0 -> own", "symlink c 0 -> there"],
    },
    {
      when: "every other type",
      bytes: Buffer.concat(
        ["1", "3", "4", "5", "6", "7", "D", "Z"].map((flag) =>
          tarFile({ name: "n", flag, linkname: flag === "1" ? "l" : "" }),
        ),
      ),
      is: [
        "link n 0 -> l",
        "character n 0",
        "block n 0",
        "directory n 0",
        "fifo n 0",
        "file n 0",
        "directory n 0",
        "other n 0",
      ],
    },
    { when: "a name that ends in a slash", bytes: tarFile({ name: "folder/" }), is: ["directory folder/ 0"] },
    { when: "a link that claims a size", bytes: tarHeader({ name: "l", flag: "2", size: 99 }), is: ["symlink l 0"] },
    {
      when: "a size in base 256",
      bytes: Buffer.concat([
        tarHeader({ name: "big", also: [[124, Buffer.from("800000000000000000000003", "hex")]] }),
        padded("abc"),
      ]),
      is: ["file big 3"],
    },
    {
      when: "no padding at the end",
      bytes: Buffer.concat([tarHeader({ name: "a", size: 2 }), Buffer.from("hi")]),
      is: ["file a 2"],
    },
    {
      when: "something behind the end",
      bytes: Buffer.concat([tarFile({ name: "a" }), tarEnd, tarFile({ name: "hidden" })]),
      is: ["file a 0"],
    },
    { when: "nothing", bytes: Buffer.alloc(0), is: [] },
  ])("$when", async ({ bytes, is }) => {
    expect(shown(await walkAll(bytes))).toEqual(is);
    expect(shown(await walkAll(Buffer.concat([bytes, tarEnd]), 1))).toEqual(is);
  });

  test("a body that nobody reads, or not to its end, is passed over", async () => {
    const archive = Buffer.concat(["a", "b", "c"].map((name) => tarFile({ name }, seededBytes(5000, "1"))));
    const names: string[] = [];
    for await (const entry of walkTar(inPieces(archive, 999))) {
      names.push(entry.name);
      if (entry.name === "b") await entry.body().next();
    }
    expect(names).toEqual(["a", "b", "c"]);
  });

  test("where the stored bytes begin is told, for reading them by range", async () => {
    const archive = Buffer.concat([
      paxHeader([["path", "x"]]),
      tarFile({ name: "a" }, "hello"),
      tarFile({ name: "b" }, "you"),
    ]);
    for (const { body, storedAt } of await walkAll(archive)) {
      expect(archive.subarray(storedAt, storedAt + body.length)).toEqual(body);
    }
  });
});

describe("sparse files", () => {
  const bytes = Buffer.concat([seededBytes(4096, "1"), seededBytes(8192, "2")]);
  const pieces = [
    [8192, 4096],
    [1048576, 8192],
  ] as const;
  const sizeBytes = 2 * 1048576;
  const whole = Buffer.alloc(sizeBytes);
  bytes.copy(whole, 8192, 0, 4096);
  bytes.copy(whole, 1048576, 4096);
  const twelve = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
  const oldMap = pieces.map(([offset, length]) => twelve(offset) + twelve(length)).join("");
  const map10 = padded(`2\n${pieces.flat().join("\n")}\n`);

  const dialects = [
    {
      when: "old GNU",
      archive: tarFile(
        {
          name: "disk",
          flag: "S",
          magic: "ustar  \0",
          also: [
            [386, oldMap],
            [483, twelve(sizeBytes)],
          ],
        },
        bytes,
      ),
    },
    {
      when: "old GNU with more of the map in a block of its own",
      archive: Buffer.concat([
        tarHeader({
          name: "disk",
          flag: "S",
          magic: "ustar  \0",
          size: bytes.length,
          also: [
            [386, oldMap.slice(0, 24)],
            [482, "\u0001"],
            [483, twelve(sizeBytes)],
          ],
        }),
        padded(oldMap.slice(24)),
        padded(bytes),
      ]),
    },
    {
      when: "PAX 0.0",
      archive: Buffer.concat([
        paxHeader([
          ["GNU.sparse.size", `${sizeBytes}`],
          ["GNU.sparse.numblocks", "2"],
          ...pieces.flatMap(
            ([offset, length]) =>
              [
                ["GNU.sparse.offset", `${offset}`],
                ["GNU.sparse.numbytes", `${length}`],
              ] as const,
          ),
        ]),
        tarFile({ name: "disk" }, bytes),
      ]),
    },
    {
      when: "PAX 0.1",
      archive: Buffer.concat([
        paxHeader([
          ["GNU.sparse.size", `${sizeBytes}`],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.name", "disk"],
          ["GNU.sparse.map", pieces.flat().join(",")],
        ]),
        tarFile({ name: "GNUSparseFile.1/disk" }, bytes),
      ]),
    },
    {
      when: "PAX 1.0",
      archive: Buffer.concat([
        paxHeader([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.name", "disk"],
          ["GNU.sparse.realsize", `${sizeBytes}`],
        ]),
        tarFile({ name: "GNUSparseFile.1/disk" }, Buffer.concat([map10, bytes])),
      ]),
    },
  ];

  test.each(dialects)("$when: the real bytes, and what is stored of them", async ({ archive }) => {
    const [seen, after] = await walkAll(Buffer.concat([archive, tarFile({ name: "after" }, "x")]), 3000);
    expect(seen).toMatchObject({ name: "disk", type: "file", sizeBytes });
    expect(seen?.body.equals(whole)).toBe(true);
    expect(after?.name).toBe("after");
    const got: number[] = [];
    for await (const entry of walkTar(inPieces(archive, 1e6))) {
      expect(entry.extents).toEqual(pieces.map(([offset, length]) => ({ offset, length })));
      for await (const piece of entry.pieces()) got.push(piece.offset, piece.bytes.length);
    }
    expect(got).toEqual(pieces.flat());
  });

  test.each([
    { when: "pieces that overlap", map: "0,4096,100,8192", size: sizeBytes },
    { when: "a piece past the end", map: "0,4096,8192,8192", size: 9000 },
    { when: "more in the map than is stored", map: "0,4096,8192,8193", size: sizeBytes },
    { when: "less in the map than is stored", map: "0,4096", size: sizeBytes },
    { when: "half a pair", map: "0,4096,8192", size: sizeBytes },
    { when: "no number", map: "0,4096,8192,-8192", size: sizeBytes },
  ])("$when: refused", async ({ map, size }) => {
    const records = [
      ["GNU.sparse.size", `${size}`],
      ["GNU.sparse.map", map],
    ] as const;
    const archive = Buffer.concat([paxHeader(records), tarFile({ name: "disk" }, bytes)]);
    await expect(walkAll(archive)).rejects.toMatchObject({ code: "ArchiveInvalid" });
  });
});

describe("what GNU tar writes", () => {
  let folder: string;
  let disk: Buffer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cdi-tar-"));
    const file = await open(join(folder, "disk.img"), "w");
    // More pieces than the four of old GNU's header and the 21 of its first further block.
    for (let index = 0; index < 40; index += 1)
      await file.write(seededBytes(4096, `${index}`), 0, 4096, index * 131072);
    await file.truncate(40 * 131072 + 77);
    await file.close();
    disk = await readFile(join(folder, "disk.img"));
    await writeFile(join(folder, "note"), "hello");
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    ["--format=gnu", "--sparse"],
    ["--format=gnu", "--sparse", "--hole-detection=raw"],
    ["--format=oldgnu", "--sparse"],
    ["--format=posix", "--sparse", "--sparse-version=0.0"],
    ["--format=posix", "--sparse", "--sparse-version=0.1"],
    ["--format=posix", "--sparse", "--sparse-version=1.0"],
    ["--format=posix"],
    ["--format=ustar"],
    ["--format=v7"],
  ])("%s %s %s", async (...flags) => {
    const entries = await walkAll(gnuTar(folder, [...flags, "disk.img", "note"]), 65536);
    expect(entries.map(({ name }) => name)).toEqual(["disk.img", "note"]);
    expect(entries[0]?.body.equals(disk)).toBe(true);
    expect(entries[1]?.body.toString()).toBe("hello");
  });
});

describe("refused as damaged", () => {
  const twice = (bytes: Buffer): Buffer => Buffer.concat([bytes, bytes]);
  test.each([
    { when: "cut within a header", bytes: tarFile({ name: "a" }).subarray(0, 300) },
    { when: "cut within a body", bytes: tarFile({ name: "a" }, seededBytes(3000, "1")).subarray(0, 2000) },
    { when: "a wrong checksum", bytes: tarHeader({ name: "a", checksum: 1 }) },
    { when: "noise", bytes: seededBytes(4096, "3") },
    { when: "a negative size", bytes: tarHeader({ name: "a", also: [[124, Buffer.alloc(12, 0xff)]] }) },
    {
      when: "a size of 2^90",
      bytes: tarHeader({ name: "a", also: [[124, Buffer.from("80ffffffffffffffffffffff", "hex")]] }),
    },
    { when: "a size that is no number", bytes: tarHeader({ name: "a", also: [[124, "99999999999\0"]] }) },
    { when: "an extended header of 2 MiB", bytes: tarHeader({ name: "x", flag: "x", size: 2 ** 21 }) },
    { when: "an extended header that nothing follows", bytes: Buffer.concat([paxHeader([["path", "a"]]), tarEnd]) },
    {
      when: "a long name of 5000 bytes",
      bytes: Buffer.concat([tarFile({ name: "l", flag: "L" }, "n".repeat(5000)), tarFile({ name: "a" })]),
    },
    {
      when: "a PAX record longer than the header",
      bytes: Buffer.concat([tarFile({ name: "x", flag: "x" }, "99 path=a\n"), tarFile({ name: "a" })]),
    },
    {
      when: "a PAX record without a value",
      bytes: Buffer.concat([tarFile({ name: "x", flag: "x" }, "7 path\n"), tarFile({ name: "a" })]),
    },
    { when: "a name with a NUL in PAX", bytes: Buffer.concat([paxHeader([["path", "a\0b"]]), tarFile({ name: "a" })]) },
    { when: "one of several volumes", bytes: tarFile({ name: "a", flag: "M" }) },
    {
      when: "a map of sparse pieces without an end",
      bytes: Buffer.concat([
        paxHeader([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "1024"],
        ]),
        tarFile({ name: "a" }, `${"9".repeat(15)}\n${"0\n".repeat(3000)}`),
      ]),
    },
    { when: "nothing but long names", bytes: twice(tarFile({ name: "l", flag: "L" }, "n".repeat(600_000))) },
  ])("$when", async ({ bytes }) => {
    await expect(walkAll(bytes)).rejects.toMatchObject({ code: "ArchiveInvalid" });
  });
});
