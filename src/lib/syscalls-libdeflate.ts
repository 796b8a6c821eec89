// Raw deflate a whole piece at a time by the system's libdeflate, through koffi: it takes half of zlib's time, and only pieces that
// fill their output to the byte and end there (docs/adr/0021). All others are for zlib to judge.
import { createRequire } from "node:module";
import { deflateRawSync } from "node:zlib";
import type * as Koffi from "koffi";

/**
 * Memory is told by its address and its bytes, and must be held by the caller meanwhile.
 * @returns how many bytes of the input it took to fill the output; undefined when zlib has to look at it
 */
export type WholeInflate = (input: number, inputBytes: number, into: number, intoBytes: number) => number | undefined;

/** The name of its interface, which has been the same since its first release (libdeflate.h). */
const libraryName = "libdeflate.so.0";
const success = 0;
/** A size_t. */
const sizeBytes = 8;

/** One for each thread. @returns undefined where the library is not there, or behaves otherwise than it should */
export function makeWholeInflate(): WholeInflate | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    const inflate = load(koffi);
    return isGood(inflate, (bytes) => Number(koffi.address(bytes))) ? inflate : undefined;
  } catch {
    // No koffi or no library: then all of it is for zlib.
    return undefined;
  }
}

function load(koffi: typeof Koffi): WholeInflate {
  const library = koffi.load(libraryName);
  const allocate = library.func("void *libdeflate_alloc_decompressor()");
  const decompress = library.func(
    "int libdeflate_deflate_decompress_ex(void *decompressor, uintptr_t in, size_t in_nbytes, uintptr_t out, size_t out_nbytes, void *used, void *written)",
  );
  // Never freed: for as long as the thread lives.
  const decompressor: unknown = allocate();
  if (!decompressor) throw new Error("libdeflate has no memory");
  // Not from node's pool: C code writes to it.
  const used = Buffer.alloc(sizeBytes);
  return (input, inputBytes, into, intoBytes) => {
    // With nowhere to say how much it wrote, it succeeds only if that is all that was wanted.
    const status = decompress(decompressor, input, inputBytes, into, intoBytes, used, null) as number;
    return status === success ? Number(used.readBigUInt64LE()) : undefined;
  };
}

/** Takes nothing on trust. */
function isGood(inflate: WholeInflate, addressOf: (bytes: Buffer) => number): boolean {
  const plain = Buffer.alloc(70_000, "some text, and more of it; ");
  const packed = deflateRawSync(plain, { windowBits: 12 });
  const input = Buffer.alloc(packed.length + 4, "junk");
  packed.copy(input);
  const into = Buffer.alloc(plain.length);
  const [from, to] = [addressOf(input), addressOf(into)];
  return (
    inflate(from, input.length, to, into.length) === packed.length &&
    into.equals(plain) &&
    inflate(from, 20, to, into.length) === undefined &&
    inflate(from, input.length, to, into.length - 1) === undefined
  );
}
