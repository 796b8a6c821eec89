// Loopback addresses for pods, each given to one pod at a time.
import { randomInt } from "node:crypto";

export interface Addresses {
  /** @param wanted an address the pod had in an earlier run, kept if free */
  take(wanted?: string): string;
  give(address: string): void;
}

const pattern = /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d{1,3}\.\d{1,3}$/;

/** A random start keeps two clusters on one machine apart, most likely. */
export function createAddresses(start = randomInt(1 << 14)): Addresses {
  const used = new Set<string>();
  let at = start << 8;
  function next(): string {
    at = (at + 1) % (1 << 22);
    const last = at & 0xff;
    if (last === 0 || last === 255) return next();
    return `127.${64 + (at >> 16)}.${(at >> 8) & 0xff}.${last}`;
  }
  return {
    take(wanted) {
      let address = wanted && pattern.test(wanted) && !used.has(wanted) ? wanted : next();
      while (used.has(address)) address = next();
      used.add(address);
      return address;
    },
    give: (address) => void used.delete(address),
  };
}
