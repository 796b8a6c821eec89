// Where the clusters of a stream went, in the order of the file: an entry that comes to be known later may share their bytes,
// which are to be had from the target then.

/** 20 MiB at most. */
const mostRecords = 1 << 20;

export interface Placed {
  /** First of the image file's bytes that the record is about. */
  host: number;
  length: number;
  /** Where the bytes lie on the disk; of a compressed cluster, what was unpacked from them. */
  guest: number;
  isCompressed: boolean;
}

export class PlacedClusters {
  #host = new Float64Array(1024);
  #guest = new Float64Array(1024);
  /** Negative for a compressed cluster. */
  #length = new Float64Array(1024);
  #count = 0;

  /** Records come in the order of the file and do not overlap. @returns false when there is no room for more */
  add(host: number, length: number, guest: number, isCompressed: boolean): boolean {
    const last = this.#count - 1;
    const lastLength = this.#length[last] ?? 0;
    if (
      !isCompressed &&
      lastLength > 0 &&
      (this.#host[last] ?? 0) + lastLength === host &&
      (this.#guest[last] ?? 0) + lastLength === guest
    ) {
      this.#length[last] = lastLength + length;
      return true;
    }
    if (this.#count === mostRecords) return false;
    if (this.#count === this.#host.length) this.#grow();
    this.#host[this.#count] = host;
    this.#guest[this.#count] = guest;
    this.#length[this.#count] = isCompressed ? -length : length;
    this.#count += 1;
    return true;
  }

  /** The record that the host byte belongs to. */
  at(host: number): Placed | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#host[middle] ?? 0) <= host) low = middle + 1;
      else high = middle;
    }
    const found = low === 0 ? undefined : this.#record(low - 1);
    return found && host < found.host + found.length ? found : undefined;
  }

  /** In the order of the file. */
  all(): Placed[] {
    return Array.from({ length: this.#count }, (_, index) => this.#record(index));
  }

  #record(index: number): Placed {
    const length = this.#length[index] ?? 0;
    return {
      host: this.#host[index] ?? 0,
      length: Math.abs(length),
      guest: this.#guest[index] ?? 0,
      isCompressed: length < 0,
    };
  }

  clear(): void {
    this.#count = 0;
  }

  #grow(): void {
    const larger = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const fresh = new Float64Array(2 * old.length);
      fresh.set(old);
      return fresh;
    };
    this.#host = larger(this.#host);
    this.#guest = larger(this.#guest);
    this.#length = larger(this.#length);
  }
}
