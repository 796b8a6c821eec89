// How many pods run at once. The others wait their turn, oldest first.

export interface Slots {
  /** Resolves when it is this one's turn. @throws the signal's reason; then nothing is held */
  take(age: string, signal: AbortSignal): Promise<() => void>;
}

/** `age` sorts: a creation time and, for ties, a name. */
export function createSlots(limit: number): Slots {
  const waiting: { age: string; go: () => void }[] = [];
  let taken = 0;

  function next(): void {
    if (taken >= limit) return;
    const oldest = waiting.sort((a, b) => (a.age < b.age ? -1 : 1)).shift();
    if (!oldest) return;
    taken += 1;
    oldest.go();
  }
  function release(): void {
    taken -= 1;
    next();
  }

  return {
    async take(age, signal) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const one = { age, go };
        function go(): void {
          signal.removeEventListener("abort", stop);
          resolve();
        }
        function stop(): void {
          waiting.splice(waiting.indexOf(one), 1);
          reject(signal.reason as Error);
        }
        signal.addEventListener("abort", stop, { once: true });
        waiting.push(one);
        // Pods seen in the same turn of the loop line up before the first is let in.
        queueMicrotask(next);
      });
      let held = true;
      return () => {
        if (held) release();
        held = false;
      };
    },
  };
}
