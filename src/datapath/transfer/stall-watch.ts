// Cuts a stream off whose reader has waited too long for a byte.
import type { Readable } from "node:stream";
import type { Clock } from "../../lib/clock.ts";
import { Fault } from "../../lib/faults.ts";

export interface StallWatch {
  /** The reader begins to wait for bytes. */
  wait(): void;
  /** It has some, or wants none for now: that is no stall. */
  rest(): void;
  /** Nothing is watched any more. */
  end(): void;
}

/** One look per quarter of the limit, rather than a timer for each chunk. The stream ends with Fault SourceStalled. */
export function stallWatch(body: Readable, name: string, limitMs: number, clock: Clock): StallWatch {
  const over = new AbortController();
  let waitingSince: number | undefined;
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await clock.sleep(limitMs / 4, over.signal);
      if (waitingSince === undefined || clock.now() - waitingSince < limitMs) continue;
      body.destroy(new Fault("SourceStalled", `${name} sent nothing for ${limitMs / 1000} s`));
      return;
    }
  };
  look().catch((cause: unknown) => {
    if (!over.signal.aborted) body.destroy(cause as Error);
  });
  return {
    wait: () => void (waitingSince ??= clock.now()),
    rest: () => (waitingSince = undefined),
    end: () => over.abort(new Error("the stream has ended")),
  };
}
