// Wanted annotations and labels of an object, and the one patch that brings them about.
import { keyOf, type KindRef, type KubeObject } from "../../api/meta.ts";
import type { Step } from "../../kube/index.ts";

/** undefined leaves a key as it is, null removes it. */
export type Wanted = Readonly<Record<string, string | null | undefined>>;

/** Names, and whether each is to be there. Others stay. */
export type Finalizers = Readonly<Record<string, boolean>>;

function finalizersOf({ metadata }: KubeObject, wanted: Finalizers = {}): { finalizers?: string[] } {
  const has = metadata.finalizers ?? [];
  const kept = has.filter((name) => wanted[name] !== false);
  const added = Object.keys(wanted).filter((name) => wanted[name] === true && !has.includes(name));
  return added.length === 0 && kept.length === has.length ? {} : { finalizers: [...kept, ...added] };
}

function differing(has: Readonly<Record<string, string>> | undefined, wanted: Wanted): Record<string, string | null> {
  const rows = Object.entries(wanted).flatMap(([key, value]) =>
    value === undefined || (has?.[key] ?? null) === value ? [] : [[key, value] as const],
  );
  return Object.fromEntries(rows);
}

/** @returns no step when all is as wanted; else one patch that fails when the object changed since it was seen */
export function patchMetadata(
  kind: KindRef,
  object: KubeObject,
  wanted: { annotations?: Wanted; labels?: Wanted; finalizers?: Finalizers },
): Step[] {
  const annotations = differing(object.metadata.annotations, wanted.annotations ?? {});
  const labels = differing(object.metadata.labels, wanted.labels ?? {});
  const metadata = {
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...finalizersOf(object, wanted.finalizers),
  };
  if (Object.keys(metadata).length === 0) return [];
  const { resourceVersion } = object.metadata;
  const ref = { kind, ...keyOf(object) };
  return [{ do: "patch", ref, body: { metadata }, ...(resourceVersion === undefined ? {} : { resourceVersion }) }];
}
