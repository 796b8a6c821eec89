// QED headers and tables made by hand.
import { expect, test } from "vitest";
import { inspectors } from "../../../src/datapath/inspect/index.ts";
import { codeOfHead, walkMade } from "./made-image.ts";

const cluster = 4096;
const [l1At, l2At, dataAt] = [cluster, 2 * cluster, 3 * cluster];
interface Made {
  features?: bigint;
  clusterBytes?: number;
  tableClusters?: number;
  headerClusters?: number;
  l1Offset?: bigint;
  sizeBytes?: bigint;
  l1?: Record<number, bigint>;
  l2?: Record<number, bigint>;
  fileBytes?: number;
}
/** By default a disk of four clusters, the first in the file's last. */
function qed(made: Made): Buffer {
  const bytes = Buffer.alloc(4 * cluster);
  bytes.write("QED\0", "latin1");
  bytes.writeUInt32LE(made.clusterBytes ?? cluster, 4);
  bytes.writeUInt32LE(made.tableClusters ?? 1, 8);
  bytes.writeUInt32LE(made.headerClusters ?? 1, 12);
  bytes.writeBigUInt64LE(made.features ?? 0n, 16);
  bytes.writeBigUInt64LE(made.l1Offset ?? BigInt(l1At), 40);
  bytes.writeBigUInt64LE(made.sizeBytes ?? BigInt(4 * cluster), 48);
  for (const [index, at] of Object.entries(made.l1 ?? { 0: BigInt(l2At) })) {
    bytes.writeBigUInt64LE(at, l1At + Number(index) * 8);
  }
  for (const [index, at] of Object.entries(made.l2 ?? { 0: BigInt(dataAt) })) {
    bytes.writeBigUInt64LE(at, l2At + Number(index) * 8);
  }
  return bytes.subarray(0, made.fileBytes ?? bytes.length);
}

test.each<{ when: string; made: Made; dataBytes: number }>([
  { when: "one cluster", made: {}, dataBytes: cluster },
  { when: "zero clusters", made: { l2: { 0: 1n, 1: 1n } }, dataBytes: 0 },
  { when: "no L2 table", made: { l1: {} }, dataBytes: 0 },
  { when: "one not closed properly", made: { features: 2n }, dataBytes: cluster },
  { when: "an odd end", made: { sizeBytes: 512n }, dataBytes: 512 },
  { when: "entries behind the disk", made: { l2: { 4: 2n ** 60n } }, dataBytes: 0 },
  {
    when: "an L2 table used twice",
    made: { sizeBytes: BigInt(1024 * cluster), l1: { 0: BigInt(l2At), 1: BigInt(l2At) } },
    dataBytes: 2 * cluster,
  },
])("reads $when", async ({ made, dataBytes }) => {
  const { virtualSizeBytes } = inspectors.qed.readHead(qed(made));
  expect(await walkMade("qed", qed(made))).toEqual({ virtualSizeBytes, dataBytes });
});

test("one that was not closed properly is worth a word", () => {
  expect(inspectors.qed.readHead(qed({ features: 2n })).notices?.[0]).toContain("not closed");
});

test.each<{ when: string; made: Made; code: string; byHead?: boolean }>([
  { when: "a backing file", made: { features: 1n }, code: "ImageRefused" },
  { when: "a raw backing file", made: { features: 5n }, code: "ImageRefused" },
  { when: "unknown features", made: { features: 1n << 63n }, code: "ImageRefused" },
  { when: "clusters of 3 KiB", made: { clusterBytes: 3072 }, code: "ImageCorrupt" },
  { when: "clusters of 2 KiB", made: { clusterBytes: 2048 }, code: "ImageCorrupt" },
  { when: "clusters of 128 MiB", made: { clusterBytes: 2 ** 27 }, code: "ImageCorrupt" },
  { when: "tables of no clusters", made: { tableClusters: 0 }, code: "ImageCorrupt" },
  { when: "tables of 32 clusters", made: { tableClusters: 32 }, code: "ImageCorrupt" },
  { when: "tables of 1 GiB", made: { clusterBytes: 2 ** 26, tableClusters: 16 }, code: "ImageRefused" },
  { when: "no header clusters", made: { headerClusters: 0 }, code: "ImageCorrupt" },
  { when: "an odd size", made: { sizeBytes: 513n }, code: "ImageCorrupt" },
  { when: "more disk than tables", made: { sizeBytes: 2n ** 31n }, code: "ImageCorrupt" },
  { when: "the largest size there is", made: { sizeBytes: 2n ** 64n - 512n }, code: "ImageCorrupt" },
  { when: "a header cut off", made: { fileBytes: 63 }, code: "ImageTruncated" },
  { when: "an L1 table in the header", made: { l1Offset: 0n }, code: "ImageCorrupt", byHead: false },
  { when: "an unaligned L1 table", made: { l1Offset: 4104n }, code: "ImageCorrupt", byHead: false },
  { when: "an L1 table past the end", made: { l1Offset: 2n ** 60n }, code: "ImageTruncated", byHead: false },
  { when: "an unaligned L2 table", made: { l1: { 0: 8200n } }, code: "ImageCorrupt", byHead: false },
  { when: "an L2 table past the end", made: { l1: { 0: 2n ** 40n } }, code: "ImageTruncated", byHead: false },
  { when: "an unaligned cluster", made: { l2: { 0: 513n } }, code: "ImageCorrupt", byHead: false },
  { when: "a cluster in the header", made: { l2: { 0: 8n } }, code: "ImageCorrupt", byHead: false },
  { when: "a cluster past the end", made: { l2: { 3: 2n ** 44n } }, code: "ImageTruncated", byHead: false },
  { when: "a cluster cut off", made: { fileBytes: 4 * cluster - 1 }, code: "ImageTruncated", byHead: false },
])("refuses $when", async ({ made, code, byHead = true }) => {
  expect(codeOfHead("qed", qed(made))).toBe(byHead ? code : "accepted");
  await expect(walkMade("qed", qed(made))).rejects.toMatchObject({ code });
});
