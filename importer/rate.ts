// Bytes per second over the last few seconds, from readings taken whenever somebody looks.

export interface RateMeter {
  /** Takes a reading. @returns bytes per second over the window; undefined until two readings are apart enough */
  read(bytes: number, nowMs: number): number | undefined;
}

/** @param windowMs how far back it looks; default 10 s */
export function makeRateMeter(windowMs = 10_000): RateMeter {
  const readings: { bytes: number; atMs: number }[] = [];
  return {
    read(bytes, nowMs) {
      // A new stage counts from 0 again.
      if (bytes < (readings.at(-1)?.bytes ?? 0)) readings.length = 0;
      readings.push({ bytes, atMs: nowMs });
      // The oldest reading kept is the last one older than the window, so that the window is always covered.
      while (readings.length > 2 && nowMs - (readings[1]?.atMs ?? nowMs) >= windowMs) readings.shift();
      const oldest = readings[0];
      if (!oldest || nowMs - oldest.atMs < 100) return undefined;
      return Math.max(0, ((bytes - oldest.bytes) * 1000) / (nowMs - oldest.atMs));
    },
  };
}
