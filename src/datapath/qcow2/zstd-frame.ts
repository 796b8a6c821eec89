// How long a zstd frame is, from its own headers (RFC 8878, 3.1.1): node's decoder fails on what follows a frame.

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryBytes = [0, 1, 2, 4] as const;

/** @returns bytes of the frame that the input begins with; 0 when it begins with none or with only a part of one */
export function zstdFrameBytes(input: Buffer): number {
  if (input.length < 8) return 0;
  const magic = input.readUInt32LE(0);
  if ((magic & 0xffff_fff0) >>> 0 === skippableMagic) return whole(input, 8 + input.readUInt32LE(4));
  if (magic !== frameMagic) return 0;
  const descriptor = input.readUInt8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (isSingle ? 1 : 0) : 2 ** sizeFlag;
  let at = 5 + (isSingle ? 0 : 1) + (dictionaryBytes[descriptor & 3] ?? 0) + sizeBytes;
  for (;;) {
    if (at + 3 > input.length) return 0;
    const block = input.readUIntLE(at, 3);
    const isRepeated = ((block >> 1) & 3) === 1;
    at += 3 + (isRepeated ? 1 : block >> 3);
    if ((block & 1) !== 0) return whole(input, at + ((descriptor & 4) === 0 ? 0 : 4));
  }
}

const whole = (input: Buffer, length: number): number => (length <= input.length ? length : 0);
