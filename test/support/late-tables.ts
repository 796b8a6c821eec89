// The image a stream can only take with scratch space: its L1 table lies behind the data, as after a resize, and far behind.

const clusterBits = 20;
const l1SizeAt = 36;
const l1OffsetAt = 40;

/**
 * @param image a qcow2
 * @param gapBytes between the image and its table: over 32 MiB no memory holds what comes before the table
 */
export function withLateTable(image: Buffer, gapBytes: number): Buffer {
  const clusterBytes = 2 ** image.readUInt32BE(clusterBits);
  const tableBytes = image.readUInt32BE(l1SizeAt) * 8;
  const from = Number(image.readBigUInt64BE(l1OffsetAt));
  const to = Math.ceil((image.length + gapBytes) / clusterBytes) * clusterBytes;
  const moved = Buffer.concat([image, Buffer.alloc(to - image.length), image.subarray(from, from + tableBytes)]);
  moved.writeBigUInt64BE(BigInt(to), l1OffsetAt);
  return moved;
}
