// Wakes whoever waits for a change, without saying which.

export interface Bell {
  ring(): void;
  /** To be asked for right after a look at what is waited for: between the two nothing changes. */
  heard(): Promise<void>;
}

export function makeBell(): Bell {
  let waiting: (() => void)[] = [];
  return {
    ring() {
      const all = waiting;
      waiting = [];
      for (const wake of all) wake();
    },
    heard: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
