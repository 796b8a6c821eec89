// Events for users: what has happened to an object. The same words about the same object are one Event with a count.
import { createHash } from "node:crypto";
import { kinds } from "../api/kinds.ts";
import { keyOf, type KubeObject } from "../api/meta.ts";
import { stamp, type Clock } from "../lib/clock.ts";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isNotFound, type KeyedRef } from "./types.ts";

export interface Telling {
  about: KubeObject;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
}

/** The name says what is counted together, so that a restarted process goes on counting. */
export function eventName({ about, type, reason, message }: Telling): string {
  const sum = createHash("sha256")
    .update(JSON.stringify([about.metadata.uid, type, reason, message]))
    .digest("hex");
  return `${(about.metadata.name ?? "").slice(0, 236)}.${sum.slice(0, 16)}`;
}

/** The Kubernetes limit of an Event's message. */
const messageLimit = 1024;

export function eventFor(telling: Telling, component: string, nowMs: number): KubeObject {
  const { about, type, reason } = telling;
  const { name, namespace, uid, resourceVersion } = about.metadata;
  const now = stamp(nowMs);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: eventName(telling), namespace: namespace ?? "default" },
    involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
    type,
    reason,
    message: telling.message.slice(0, messageLimit),
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    source: { component },
    reportingComponent: component,
  };
}

/**
 * Writes the Event, or raises the count of the one that says the same.
 * @param times how often it was said since it was last written
 */
export async function tell(
  client: KubeClient,
  clock: Clock,
  component: string,
  telling: Telling,
  times = 1,
): Promise<void> {
  const event: KubeObject = { ...eventFor(telling, component, clock.now()), count: times };
  const ref: KeyedRef = { kind: kinds.event, ...keyOf(event) };
  try {
    await client.create(event, kinds.event);
    return;
  } catch (cause) {
    if (!isAlreadyExists(cause)) throw cause;
  }
  const there = await client.get(ref);
  const count = (typeof there?.count === "number" ? there.count : 0) + times;
  await client.patch(ref, { count, lastTimestamp: event.lastTimestamp }, { type: "merge" }).catch((cause: unknown) => {
    if (!isNotFound(cause)) throw cause; // it expired in between: nobody reads it any more
  });
}
