// Runs one function per key, one at a time for each key, again when the key changed meanwhile, and later after a failure.
import { createWorkqueue } from "../kube/index.ts";
import { isConflict, isNotFound } from "../kube/index.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

export interface Keyed {
  add(key: string): void;
  close(): Promise<void>;
}

/** @param workers keys worked on at once */
export function runKeyed(run: (key: string) => Promise<void>, workers: number, clock: Clock, log: Log): Keyed {
  const queue = createWorkqueue(clock);
  async function work(): Promise<void> {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await run(key);
        queue.forget(key);
      } catch (cause) {
        // A conflict or a vanished object is the ordinary course of things: what made it will be seen by the watch.
        if (isConflict(cause) || isNotFound(cause)) log.debug("Work overtaken, trying again", { key });
        else log.warn("Work failed, trying again", { key, cause });
        queue.addBackedOff(key);
      }
      queue.done(key);
    }
  }
  const running = Array.from({ length: workers }, work);
  return {
    add: (key) => queue.add(key),
    async close() {
      queue.close();
      await Promise.all(running);
    },
  };
}
