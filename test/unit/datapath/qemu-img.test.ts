// The command line given to qemu-img, and the reading of its progress.
import { expect, test } from "vitest";
import { convertArguments, imageOptions, progressReader } from "../../../src/datapath/qemu-img.ts";

test("names driver and file, and doubles commas", () => {
  expect(imageOptions("qcow2", "/scratch/a,b=c")).toBe("driver=qcow2,file.driver=file,file.filename=/scratch/a,,b=c");
});

test("more options stand before the file", () => {
  const more = { force_size_calc: "chs" };
  expect(imageOptions("vpc", "/a", more)).toBe("driver=vpc,force_size_calc=chs,file.driver=file,file.filename=/a");
});

test("paths are absolute, so that none is read as a protocol", () => {
  const target = { path: "nbd:disk", kind: "filesystem" } as const;
  const words = convertArguments({ sourcePath: "json:x", driver: "raw", target, virtualSizeBytes: 1 }, "none");
  expect(words.at(-1)).toBe(`${process.cwd()}/nbd:disk`);
  expect(words.at(-2)).toBe(`driver=raw,file.driver=file,file.filename=${process.cwd()}/json:x`);
});

const sparse: ["filesystem" | "block", boolean, string][] = [
  ["filesystem", false, "4k"],
  ["filesystem", true, "4k"],
  ["block", false, "4k"],
  ["block", true, "0"],
];
for (const [kind, preallocate, wanted] of sparse) {
  test(`${kind}, ${preallocate ? "" : "not "}preallocated: -S ${wanted}`, () => {
    const words = convertArguments(
      { sourcePath: "/s", driver: "qcow2", target: { path: "/t", kind }, virtualSizeBytes: 1, preallocate },
      "none",
    );
    expect(words[words.indexOf("-S") + 1]).toBe(wanted);
  });
}

test("progress only rises, and records may come in pieces", () => {
  const seen: number[] = [];
  const read = progressReader((fraction) => seen.push(fraction));
  for (const text of [
    "    (0.00/100%)\r    (12.5",
    "0/100%)\r",
    "    (12.50/100%)\r noise \r",
    "    (100.00/100%)\r\n",
  ])
    read(text);
  expect(seen).toEqual([0, 0.125, 1]);
});
