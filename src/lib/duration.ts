// Durations are plain milliseconds; these two words keep the unit visible where they are written.

/** @returns milliseconds */
export const seconds = (count: number): number => count * 1000;
/** @returns milliseconds */
export const minutes = (count: number): number => count * 60_000;
