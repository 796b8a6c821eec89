// How large a disk becomes: arithmetic of importer.md 7.3, 7.4 and 9, without any file.

const MIB = 1024 * 1024;

/** What a guest can use of `bytes` when the file system keeps a share of `overhead` (0.06 = 6 %) for itself. */
export function usableBytes(bytes: number, overhead: number): number {
  return Math.floor(Math.ceil(bytes / (1 + overhead)) / MIB) * MIB;
}

export interface Room {
  /** Bytes the file system can still take, our own leftovers counted as free. */
  freeBytes: number;
  /** What the claim asked for; absent when nobody asked. */
  requestBytes?: number | undefined;
  overhead: number;
}

/** What the virtual size is checked against; overhead is no part of it. */
export function availableOf({ freeBytes, requestBytes }: Room): number {
  return requestBytes === undefined ? freeBytes : Math.min(freeBytes, requestBytes);
}

/** The size a smaller disk grows to, bytes; 0 when nobody asked for one. A larger disk stays as it is. */
export function growthTargetOf(room: Room): number {
  if (room.requestBytes === undefined) return 0;
  return Math.min(room.requestBytes, usableBytes(availableOf(room), room.overhead));
}
