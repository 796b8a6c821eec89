// Get and list, from memory.
import type { KubeObject } from "../../api/meta.ts";
import { notFound } from "./errors.ts";
import { collectionPrefix, keyFor, type Resource } from "./resource.ts";
import { parseFieldSelector, parseLabelSelector, type Predicate } from "./selectors.ts";
import { shownIn, type Shown, type World } from "./world.ts";

export interface Selection {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

/** @throws ApiError 404 */
export function getObject(world: World, resource: Resource, namespace: string | undefined, name: string): Shown {
  const row = world.store.get(keyFor(resource, namespace, name));
  if (!row) throw notFound(resource, name);
  return shownIn(resource, row);
}

/** @throws ApiError 400 */
export function selecting(resource: Resource, { labelSelector, fieldSelector }: Selection): Predicate | undefined {
  const tests = [
    ...(labelSelector ? [parseLabelSelector(labelSelector)] : []),
    ...(fieldSelector ? [parseFieldSelector(fieldSelector, resource)] : []),
  ];
  return tests.length === 0 ? undefined : (object: KubeObject) => tests.every((test) => test(object));
}

export function listObjects(
  world: World,
  resource: Resource,
  namespace: string | undefined,
  selection: Selection = {},
): { revision: number; items: Shown[] } {
  const fits = selecting(resource, selection);
  const items = world.store.list(collectionPrefix(resource, namespace)).map((row) => shownIn(resource, row));
  return { revision: world.store.revision, items: fits ? items.filter(({ value }) => fits(value)) : items };
}
