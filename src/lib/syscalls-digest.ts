// Digests whose state can be put away and taken up by another process: the libcrypto inside node, through koffi. Only the
// state's words are kept, at whole blocks, and the context is built anew around them: bytes from a volume never become a
// context, whose counters would tell C code where to write.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type * as Koffi from "koffi";

export type SavableAlgorithm = "sha256" | "sha512" | "sha1" | "md5";

export interface SavedDigest {
  readonly algorithm: SavableAlgorithm;
  /** Bytes hashed; a whole number of `digestBlockBytes`. */
  readonly bytes: number;
  /** Hex of the words between two blocks. */
  readonly words: string;
}

export interface SavableDigest {
  update(bytes: Buffer): void;
  /** On another thread; the bytes must stay as they are, and nothing else may be asked of it, until it resolves. */
  updateInBackground(bytes: Buffer): Promise<void>;
  /** Bytes hashed so far. */
  readonly bytes: number;
  /** @throws when the bytes so far are not a whole number of blocks */
  save(): SavedDigest;
  /** Lower-case hex; nothing may be added after it. */
  digest(): string;
}

/** Every algorithm's block divides it. */
export const digestBlockBytes = 128;

/** Where things lie in the context (openssl/sha.h, openssl/md5.h): words first, then the count of bits, low word first. */
const layouts = {
  sha256: { prefix: "SHA256", wordsBytes: 32, countBytes: 4, resultBytes: 32 },
  sha512: { prefix: "SHA512", wordsBytes: 64, countBytes: 8, resultBytes: 64 },
  sha1: { prefix: "SHA1", wordsBytes: 20, countBytes: 4, resultBytes: 20 },
  md5: { prefix: "MD5", wordsBytes: 16, countBytes: 4, resultBytes: 16 },
} as const;
/** More than the largest context. */
const contextBytes = 512;

interface Calls {
  init(context: Buffer): number;
  update: Koffi.KoffiFunc<(context: Buffer, bytes: Buffer, length: number) => number>;
  final(result: Buffer, context: Buffer): number;
}

let library: ReturnType<typeof Koffi.load> | undefined;
const loaded = new Map<SavableAlgorithm, Calls | undefined>();

/** @returns undefined where koffi or the library is out of reach, or its contexts look otherwise than they should */
export function savableDigest(algorithm: SavableAlgorithm, from?: SavedDigest): SavableDigest | undefined {
  if (!loaded.has(algorithm)) loaded.set(algorithm, loadTested(algorithm));
  const calls = loaded.get(algorithm);
  return calls && makeDigest(algorithm, calls, from);
}

/** Whether words from outside can be a state of this algorithm. */
export const isSavedDigest = ({ algorithm, bytes, words }: SavedDigest): boolean =>
  Object.hasOwn(layouts, algorithm) &&
  Number.isSafeInteger(bytes) &&
  bytes >= 0 &&
  bytes % digestBlockBytes === 0 &&
  /^[0-9a-f]*$/.test(words) &&
  words.length === 2 * layouts[algorithm].wordsBytes;

function makeDigest(algorithm: SavableAlgorithm, calls: Calls, from: SavedDigest | undefined): SavableDigest {
  const { wordsBytes, countBytes, resultBytes } = layouts[algorithm];
  const context = Buffer.alloc(contextBytes);
  must(calls.init(context));
  let count = 0;
  if (from) {
    if (from.algorithm !== algorithm || !isSavedDigest(from)) throw new Error(`no saved state of ${algorithm}`);
    Buffer.from(from.words, "hex").copy(context);
    const bits = BigInt(from.bytes) * 8n;
    if (countBytes === 8) context.writeBigUInt64LE(bits, wordsBytes);
    else {
      context.writeUInt32LE(Number(bits & 0xffff_ffffn), wordsBytes);
      context.writeUInt32LE(Number(bits >> 32n), wordsBytes + 4);
    }
    count = from.bytes;
  }
  return {
    get bytes() {
      return count;
    },
    update(bytes) {
      must(calls.update(context, bytes, bytes.length));
      count += bytes.length;
    },
    async updateInBackground(bytes) {
      const status = await new Promise<number>((resolve, reject) => {
        const done = (error: Error | null, result: number): void => (error ? reject(error) : resolve(result));
        calls.update.async(context, bytes, bytes.length, done);
      });
      must(status);
      count += bytes.length;
    },
    save() {
      if (count % digestBlockBytes !== 0) throw new Error(`a digest of ${count} bytes is in the middle of a block`);
      return { algorithm, bytes: count, words: context.toString("hex", 0, wordsBytes) };
    },
    digest() {
      const result = Buffer.alloc(resultBytes);
      must(calls.final(result, context));
      return result.toString("hex");
    },
  };
}

function must(status: number): void {
  if (status !== 1) throw new Error("libcrypto refused a digest");
}

/** Takes nothing on trust: a state saved and taken up again must lead to what node:crypto says. */
function loadTested(algorithm: SavableAlgorithm): Calls | undefined {
  try {
    const calls = load(algorithm);
    const bytes = Buffer.alloc(3 * digestBlockBytes + 5, "state");
    const first = makeDigest(algorithm, calls, undefined);
    first.update(bytes.subarray(0, digestBlockBytes));
    const second = makeDigest(algorithm, calls, first.save());
    second.update(bytes.subarray(digestBlockBytes));
    return second.digest() === createHash(algorithm).update(bytes).digest("hex") ? calls : undefined;
  } catch {
    // No koffi, or a node without these names: then there are no such digests here.
    return undefined;
  }
}

function load(algorithm: SavableAlgorithm): Calls {
  const { prefix } = layouts[algorithm];
  // The program itself: node brings libcrypto within.
  library ??= (createRequire(import.meta.url)("koffi") as typeof Koffi).load(null);
  const init: Koffi.KoffiFunc<Calls["init"]> = library.func(`int ${prefix}_Init(void *context)`);
  const update: Calls["update"] = library.func(`int ${prefix}_Update(void *context, const void *bytes, size_t length)`);
  const final: Koffi.KoffiFunc<Calls["final"]> = library.func(`int ${prefix}_Final(void *result, void *context)`);
  return { init, update, final };
}
