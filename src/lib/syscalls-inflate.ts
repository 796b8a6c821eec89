// Raw deflate piece by piece: the system's libdeflate where there is one, and the zlib inside node, through koffi, with one engine
// that is used again and again. node:zlib makes an engine and buffers for each piece. Told by addresses, an engine of another thread
// works on this one's memory.
import { createRequire } from "node:module";
import { deflateRawSync } from "node:zlib";
import type * as Koffi from "koffi";
import { makeWholeInflate, type WholeInflate } from "./syscalls-libdeflate.ts";

export interface Inflater {
  /** @returns how many bytes of the input it took to fill `into`; undefined when the data is damaged or ends before */
  inflate(input: Buffer, into: Buffer): number | undefined;
  /** The same of memory that somebody else holds, while this goes on: where it begins, and how many bytes it has. */
  inflateAt(input: number, inputBytes: number, into: number, intoBytes: number): number | undefined;
  /** Where bytes begin in this process, of whatever thread: good for as long as somebody holds them. */
  addressOf(bytes: Buffer): number;
}

interface Calls {
  readonly addressOf: (bytes: Buffer) => number;
  readonly init: (stream: Buffer, windowBits: number, version: string, size: number) => number;
  readonly reset: (stream: Buffer) => number;
  readonly inflate: (stream: Buffer, flush: number) => number;
}

/** z_stream where pointers and longs have 8 bytes (zlib.h). */
const at = { nextIn: 0, availIn: 8, nextOut: 24, availOut: 32 } as const;
const streamBytes = 112;
const ok = 0;
/** Z_FINISH: no window is kept for a next call. */
const finish = 4;

let loaded: { calls: Calls | undefined } | undefined;

/**
 * Never freed: to be made once for as long as the thread lives.
 * @param windowBits 8 to 15
 * @param whole asked first
 * @returns undefined where koffi or zlib is out of reach, or behaves otherwise than it should
 */
export function makeInflater(windowBits: number, whole = makeWholeInflate()): Inflater | undefined {
  loaded ??= { calls: loadTested() };
  return loaded.calls && inflaterOf(loaded.calls, windowBits, whole);
}

function inflaterOf({ addressOf, init, reset, inflate }: Calls, windowBits: number, whole?: WholeInflate): Inflater {
  // Not from node's pool: C code keeps its address.
  const stream = Buffer.alloc(4096);
  if (init(stream, -windowBits, "1", streamBytes) !== ok) throw new Error("zlib refused an engine");

  function zlibAt(input: number, inputBytes: number, into: number, intoBytes: number): number | undefined {
    if (reset(stream) !== ok) throw new Error("zlib refused to begin anew");
    stream.writeBigUInt64LE(BigInt(input), at.nextIn);
    stream.writeUInt32LE(inputBytes, at.availIn);
    stream.writeBigUInt64LE(BigInt(into), at.nextOut);
    stream.writeUInt32LE(intoBytes, at.availOut);
    // What the engine says of bytes behind the last one wanted is nobody's business.
    inflate(stream, finish);
    return stream.readUInt32LE(at.availOut) === 0 ? inputBytes - stream.readUInt32LE(at.availIn) : undefined;
  }
  const inflateAt: WholeInflate = (...piece) => whole?.(...piece) ?? zlibAt(...piece);
  return {
    inflateAt,
    addressOf,
    inflate: (input, into) => inflateAt(addressOf(input), input.length, addressOf(into), into.length),
  };
}

/** Takes nothing on trust. */
function loadTested(): Calls | undefined {
  try {
    const calls = load();
    const plain = Buffer.alloc(70_000, "some text, and more of it; ");
    const packed = Buffer.concat([deflateRawSync(plain, { windowBits: 12 }), Buffer.from("junk")]);
    const inflater = inflaterOf(calls, 12);
    for (let time = 0; time < 2; time += 1) {
      const into = Buffer.alloc(plain.length);
      if (inflater.inflate(packed, into) !== packed.length - 4 || !into.equals(plain)) return undefined;
      if (inflater.inflate(packed.subarray(0, 20), into) !== undefined) return undefined;
    }
    return calls;
  } catch {
    // No koffi, or a node without these names: then pieces are for node:zlib.
    return undefined;
  }
}

function load(): Calls {
  const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  // The program itself: node brings zlib within.
  const library = koffi.load(null);
  const bases = new WeakMap<ArrayBufferLike, number>();
  return {
    addressOf({ buffer, byteOffset }) {
      let base = bases.get(buffer);
      if (base === undefined) bases.set(buffer, (base = Number(koffi.address(Buffer.from(buffer as ArrayBuffer)))));
      return base + byteOffset;
    },
    init: library.func("int inflateInit2_(void *stream, int windowBits, const char *version, int size)"),
    reset: library.func("int inflateReset(void *stream)"),
    inflate: library.func("int inflate(void *stream, int flush)"),
  };
}
