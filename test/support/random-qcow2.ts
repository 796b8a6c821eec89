// Random qcow2 images from a seed, by a writer of our own: all that the format allows and tools seldom write. What is in them is
// told by `features`; what they mean is for qemu-img to say.
import { deflateRawSync, zstdCompressSync } from "node:zlib";
import { seededBytes } from "./images.ts";

export interface RandomQcow2 {
  image: Buffer;
  virtualBytes: number;
  features: Set<Feature>;
}
export const features = [
  "version 2",
  "version 3",
  "512 B clusters",
  "2 MiB clusters",
  "extended L2",
  "zlib clusters",
  "zstd clusters",
  "zero clusters",
  "discards",
  "shared host clusters",
  "L1 at the end",
  "L1 at the front",
  "L2 behind its data",
  "shuffled host clusters",
  "corrupt bit",
  "dirty bit",
  "snapshots",
  "partly there last cluster",
  "odd virtual size",
  "refcounts of 1",
  "refcounts of 2",
  "refcounts of 4",
  "refcounts of 8",
  "refcounts of 16",
  "refcounts of 32",
  "refcounts of 64",
] as const;
export type Feature = (typeof features)[number];

/** Mulberry32: unlike a plain congruence its low bits are good, too. */
export function randomFrom(seed: number): (below: number) => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface Plan {
  version: number;
  clusterBits: number;
  extended: boolean;
  zstd: boolean;
  refcountOrder: number;
  guestClusters: number;
  virtualBytes: number;
}

class Writer {
  readonly plan: Plan;
  readonly clusterBytes: number;
  readonly entryBytes: number;
  readonly seen = new Set<Feature>();
  readonly #next: (below: number) => number;
  readonly #seed: number;
  #file: Buffer = Buffer.alloc(0);
  #end = 0;
  readonly #refcounts: number[] = [];
  readonly #tables: { at: number }[] = [];

  constructor(seed: number) {
    this.#seed = seed;
    this.#next = randomFrom(seed);
    const next = this.#next;
    const version = next(4) === 0 ? 2 : 3;
    const extended = version === 3 && next(4) === 0;
    // The ends of the range more often than the middle.
    const bits = [9, 9, 10, 12, 14, 16, 16, 16, 18, 21][next(10)] ?? 16;
    const clusterBits = extended ? Math.max(14, bits) : bits;
    const guestClusters = Math.max(1, Math.min(64 + next(300), Math.floor((6 * 2 ** 20) / 2 ** clusterBits)));
    const odd = next(3) === 0;
    const virtualBytes = guestClusters * 2 ** clusterBits - (odd ? next(2 ** clusterBits / 512) * 512 : 0);
    const refcountOrder = version === 2 ? 4 : next(7);
    this.plan = {
      version,
      clusterBits,
      extended,
      zstd: version === 3 && next(3) === 0,
      refcountOrder,
      guestClusters,
      virtualBytes,
    };
    this.clusterBytes = 2 ** clusterBits;
    this.entryBytes = extended ? 16 : 8;
    this.#mark(version === 2 ? "version 2" : "version 3");
    if (extended) this.#mark("extended L2");
    if (clusterBits === 9) this.#mark("512 B clusters");
    if (clusterBits === 21) this.#mark("2 MiB clusters");
    if (virtualBytes % this.clusterBytes !== 0) this.#mark("odd virtual size");
    this.#mark(`refcounts of ${2 ** refcountOrder}` as Feature);
  }

  #mark(feature: Feature): void {
    this.seen.add(feature);
  }
  #chance(oneIn: number): boolean {
    return this.#next(oneIn) === 0;
  }

  #allocate(clusters = 1): number {
    const at = Math.ceil(this.#end / this.clusterBytes) * this.clusterBytes;
    this.#end = at + clusters * this.clusterBytes;
    this.#reserve();
    for (let one = at; one < this.#end; one += this.clusterBytes) this.#count(one);
    return at;
  }
  #reserve(): void {
    if (this.#end <= this.#file.length) return;
    this.#file = Buffer.concat([this.#file, Buffer.alloc(Math.max(this.#end - this.#file.length, this.#file.length))]);
  }
  #count(host: number): void {
    const index = Math.floor(host / this.clusterBytes);
    this.#refcounts[index] = (this.#refcounts[index] ?? 0) + 1;
  }

  /** Random at odd places, repeated text elsewhere: some of it deflates well, some not at all. */
  #data(tag: string): Buffer {
    const bytes = Buffer.alloc(this.clusterBytes, this.#chance(3) ? `${tag} of ${this.#seed} ` : 0);
    for (let index = this.#next(3); index >= 0; index -= 1) {
      const length = 1 + this.#next(Math.min(this.clusterBytes, 9000));
      seededBytes(length, `${this.#seed}/${tag}/${index}`).copy(bytes, this.#next(this.clusterBytes - length + 1));
    }
    return bytes;
  }

  #writeData(tag: string): number {
    const host = this.#allocate();
    this.#data(tag).copy(this.#file, host);
    return host;
  }

  /** Packs the compressed bytes behind what was written last, as qemu does, or at the next cluster. @returns the L2 entry */
  #writeCompressed(tag: string): bigint {
    const { clusterBits, zstd } = this.plan;
    const packed = this.#packed(this.#data(tag));
    if (packed.length >= this.clusterBytes) return this.#standard(this.#writeData(tag));
    this.#mark(zstd ? "zstd clusters" : "zlib clusters");
    if (this.#chance(3)) this.#end = Math.ceil(this.#end / this.clusterBytes) * this.clusterBytes;
    const host = this.#end;
    this.#end += packed.length;
    this.#reserve();
    packed.copy(this.#file, host);
    const first = host - (host % this.clusterBytes);
    for (let one = first; one < this.#end; one += this.clusterBytes) this.#count(one);
    const sectors = Math.floor((host + packed.length - 1) / 512) - Math.floor(host / 512);
    return (1n << 62n) | (BigInt(sectors) << BigInt(62 - (clusterBits - 8))) | BigInt(host);
  }
  #packed(bytes: Buffer): Buffer {
    if (!this.plan.zstd) return deflateRawSync(bytes, { windowBits: 12, level: 1 + this.#next(9) });
    if (this.#next(4) > 0) return zstdCompressSync(bytes);
    // Two frames, one after the other.
    const half = bytes.length >> 1;
    return Buffer.concat([zstdCompressSync(bytes.subarray(0, half)), zstdCompressSync(bytes.subarray(half))]);
  }
  #standard(host: number): bigint {
    return BigInt(host) | (this.#chance(2) ? 1n << 63n : 0n);
  }

  write(): Buffer {
    const { clusterBytes } = this;
    const { guestClusters } = this.plan;
    this.#allocate();
    const perTable = clusterBytes / this.entryBytes;
    const tables = Math.ceil(guestClusters / perTable);
    const l1Clusters = Math.ceil((tables * 8) / clusterBytes);
    const l1AtEnd = this.#chance(3);
    this.#mark(l1AtEnd ? "L1 at the end" : "L1 at the front");
    let l1At = l1AtEnd ? 0 : this.#allocate(l1Clusters);
    const l1 = Buffer.alloc(tables * 8);
    const shared: number[] = [];
    const late: { entries: Buffer; table: number }[] = [];
    for (const table of this.#order(tables)) {
      if (this.#chance(8)) continue;
      const isLate = this.#chance(4);
      const at = isLate ? 0 : this.#allocate();
      const entries = Buffer.alloc(clusterBytes);
      const count = Math.min(perTable, guestClusters - table * perTable);
      for (const index of this.#order(count)) this.#entry(entries, index, table * perTable + index, shared);
      if (isLate) late.push({ entries, table });
      else this.#putTable(l1, table, at, entries);
    }
    for (const { entries, table } of late) {
      this.#mark("L2 behind its data");
      this.#putTable(l1, table, this.#allocate(), entries);
    }
    const snapshots = this.#chance(4) && this.#writeSnapshots(l1);
    if (l1AtEnd) l1At = this.#allocate(l1Clusters);
    l1.copy(this.#file, l1At);
    const refcounts = this.#writeRefcounts();
    this.#writeHeader(l1At, tables, refcounts, snapshots || undefined);
    return this.#cut();
  }

  #putTable(l1: Buffer, table: number, at: number, entries: Buffer): void {
    entries.copy(this.#file, at);
    this.#tables.push({ at });
    l1.writeBigUInt64BE(BigInt(at) | (1n << 63n), table * 8);
  }

  /** 0 to count - 1, now and then shuffled. */
  #order(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    if (!this.#chance(3)) return order;
    if (count > 3) this.#mark("shuffled host clusters");
    for (let index = count - 1; index > 0; index -= 1) {
      const other = this.#next(index + 1);
      [order[index], order[other]] = [order[other] ?? 0, order[index] ?? 0];
    }
    return order;
  }

  #entry(entries: Buffer, index: number, guest: number, shared: number[]): void {
    const { version, extended } = this.plan;
    const at = index * this.entryBytes;
    const put = (entry: bigint, zeros = 0, data = 0xffff_ffff): void => {
      entries.writeBigUInt64BE(entry, at);
      if (!extended) return;
      entries.writeUInt32BE(zeros, at + 8);
      entries.writeUInt32BE(data, at + 12);
    };
    const choice = this.#next(10);
    if (choice < 2) return;
    if (choice === 2) {
      // A discard in version 2 unmaps; later versions mark as zeros, with or without their cluster.
      this.#mark("discards");
      if (version === 2) return;
      this.#mark("zero clusters");
      const host = this.#chance(2) ? this.#writeData(`discarded ${guest}`) : 0;
      if (extended) return put(BigInt(host), 0xffff_ffff, 0);
      return put(BigInt(host) | 1n);
    }
    if (choice < 6) {
      const entry = this.#writeCompressed(`packed ${guest}`);
      return put(entry, 0, (entry & (1n << 62n)) === 0n ? 0xffff_ffff : 0);
    }
    const old = shared[this.#next(shared.length)];
    if (choice === 6 && old !== undefined) {
      this.#mark("shared host clusters");
      this.#count(old);
      return put(BigInt(old));
    }
    const host = this.#writeData(`plain ${guest}`);
    if (this.#chance(3)) shared.push(host);
    if (!extended || this.#chance(3)) return put(this.#standard(host));
    const data = (this.#next(2 ** 16) * 2 ** 16 + this.#next(2 ** 16)) >>> 0;
    const zeros = (~data & (this.#next(2 ** 16) * 2 ** 16)) >>> 0;
    put(this.#standard(host), zeros, data);
  }

  /** Snapshots that share some tables with the disk and have others of their own. @returns where their table lies */
  #writeSnapshots(l1: Buffer): { at: number; count: number } {
    this.#mark("snapshots");
    const count = 1 + this.#next(2);
    const rows: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const own = Buffer.from(l1);
      if (own.length > 0 && this.#chance(2)) {
        const table = this.#allocate();
        this.#file.writeBigUInt64BE(BigInt(this.#writeData(`snapshot ${index}`)), table);
        own.writeBigUInt64BE(BigInt(table), 8 * this.#next(own.length / 8));
      }
      const at = this.#allocate(Math.ceil(own.length / this.clusterBytes));
      own.copy(this.#file, at);
      const row = Buffer.alloc(40 + 16 + 2 * 8);
      row.writeBigUInt64BE(BigInt(at), 0);
      row.writeUInt32BE(own.length / 8, 8);
      row.writeUInt16BE(1, 12);
      row.writeUInt16BE(1, 14);
      row.writeUInt32BE(16, 36);
      row.writeBigUInt64BE(BigInt(this.plan.virtualBytes), 48);
      row.write(`${index + 1}s`, 56, "latin1");
      rows.push(row.subarray(0, 64));
    }
    const table = Buffer.concat(rows);
    const at = this.#allocate(Math.ceil(table.length / this.clusterBytes));
    table.copy(this.#file, at);
    return { at, count };
  }

  /** A table and its blocks, which count themselves too. @returns where it lies and how many clusters it has */
  #writeRefcounts(): { at: number; clusters: number } {
    const { refcountOrder } = this.plan;
    const perBlock = (this.clusterBytes * 8) / 2 ** refcountOrder;
    const used = Math.ceil(this.#end / this.clusterBytes);
    const blocks = Math.ceil((used * 2 + 16) / perBlock) + 1;
    const clusters = Math.max(1, Math.ceil((blocks * 8) / this.clusterBytes));
    const at = this.#allocate(clusters);
    const places = Array.from({ length: blocks }, () => this.#allocate());
    const most = refcountOrder > 4 ? 0xffff : 2 ** (2 ** refcountOrder) - 1;
    for (const [block, place] of places.entries()) {
      this.#file.writeBigUInt64BE(BigInt(place), at + block * 8);
      for (let index = 0; index < perBlock; index += 1) {
        const count = Math.min(most, this.#refcounts[block * perBlock + index] ?? 0);
        if (count > 0) putRefcount(this.#file.subarray(place, place + this.clusterBytes), index, count, refcountOrder);
      }
    }
    return { at, clusters };
  }

  #writeHeader(
    l1At: number,
    l1Entries: number,
    refcounts: { at: number; clusters: number },
    snapshots?: { at: number; count: number },
  ): void {
    const { version, clusterBits, virtualBytes, refcountOrder, extended, zstd } = this.plan;
    const head = this.#file;
    head.write("QFI\u00fb", 0, "latin1");
    head.writeUInt32BE(version, 4);
    head.writeUInt32BE(clusterBits, 20);
    head.writeBigUInt64BE(BigInt(virtualBytes), 24);
    head.writeUInt32BE(l1Entries, 36);
    head.writeBigUInt64BE(BigInt(l1At), 40);
    head.writeBigUInt64BE(BigInt(refcounts.at), 48);
    head.writeUInt32BE(refcounts.clusters, 56);
    head.writeUInt32BE(snapshots?.count ?? 0, 60);
    head.writeBigUInt64BE(BigInt(snapshots?.at ?? 0), 64);
    if (version === 2) return;
    const [dirty, corrupt] = [this.#chance(8), this.#chance(8)];
    if (dirty) this.#mark("dirty bit");
    if (corrupt) this.#mark("corrupt bit");
    const bits = (dirty ? 1 : 0) | (corrupt ? 2 : 0) | (zstd ? 8 : 0) | (extended ? 16 : 0);
    head.writeBigUInt64BE(BigInt(bits), 72);
    // Lazy refcounts are what the dirty bit comes with.
    head.writeBigUInt64BE(dirty ? 1n : 0n, 80);
    head.writeUInt32BE(refcountOrder, 96);
    head.writeUInt32BE(112, 100);
    head.writeUInt8(zstd ? 1 : 0, 104);
  }

  /** Now and then a last cluster of data follows, of which the end is not there. */
  #cut(): Buffer {
    const [table] = this.#tables;
    if (!table || !this.#chance(3)) return this.#file.subarray(0, this.#end);
    this.#mark("partly there last cluster");
    const host = this.#writeData("the last one");
    this.#file.writeBigUInt64BE(BigInt(host), table.at);
    if (this.plan.extended) this.#file.writeBigUInt64BE(0xffff_ffffn, table.at + 8);
    return this.#file.subarray(0, host + 1 + this.#next(this.clusterBytes - 1));
  }
}

function putRefcount(block: Buffer, index: number, count: number, order: number): void {
  if (order === 6) return void block.writeBigUInt64BE(BigInt(count), index * 8);
  if (order === 5) return void block.writeUInt32BE(count, index * 4);
  if (order === 4) return void block.writeUInt16BE(count, index * 2);
  if (order === 3) return void block.writeUInt8(count, index);
  const bit = index * 2 ** order;
  block.writeUInt8(block.readUInt8(bit >> 3) | (count << (bit & 7)), bit >> 3);
}

/** The same image for the same seed. */
export function randomQcow2(seed: number): RandomQcow2 {
  const writer = new Writer(seed);
  const image = Buffer.from(writer.write());
  return { image, virtualBytes: writer.plan.virtualBytes, features: writer.seen };
}
