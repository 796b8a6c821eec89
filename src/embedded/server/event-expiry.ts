// Events are kept for an hour, as on the real server; else they would be most of the store.
import { kinds } from "../../api/kinds.ts";
import { minutes } from "../../lib/duration.ts";
import { at } from "./builtins/fields.ts";
import type { Background } from "./garbage-collector.ts";
import { builtinOf } from "./registry.ts";
import { collectionPrefix } from "./resource.ts";
import { valueOf, type World } from "./world.ts";

const keptMs = minutes(60);
const lookEveryMs = minutes(5);
const prefix = collectionPrefix(builtinOf(kinds.event));

/** Removes what is over age. */
export async function dropOldEvents({ store, clock }: World): Promise<void> {
  const dueBefore = clock.now() - keptMs;
  const old = store.list(prefix).filter((row) => {
    const event = valueOf(row);
    const seen = at(event, "lastTimestamp") ?? event.metadata.creationTimestamp;
    return typeof seen === "string" && Date.parse(seen) < dueBefore;
  });
  await Promise.all(old.map((row) => store.remove(row.key)));
}

export function startEventExpiry(world: World): Background {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      await dropOldEvents(world);
      await world.clock.sleep(lookEveryMs, stop.signal);
    }
  })().catch((cause: unknown) => {
    if (!stop.signal.aborted) world.log.error("Old events are no longer removed", { cause });
  });
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
