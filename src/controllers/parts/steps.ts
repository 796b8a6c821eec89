// Steps every reconciler writes the same way.
import { keyOf, type KindRef, type KubeObject } from "../../api/meta.ts";
import type { Step } from "../../kube/index.ts";

/** Deletes this very object, not one that took its name. */
export const deletionOf = (kind: KindRef, object: KubeObject): Step => ({
  do: "delete",
  ref: { kind, ...keyOf(object) },
  uid: object.metadata.uid ?? "",
});

export const tellOf = (about: KubeObject, type: "Normal" | "Warning", reason: string, message: string): Step => ({
  do: "tell",
  about,
  type,
  reason,
  message,
});

/** Changes nothing, and fails when the object changed since it was seen: what follows rests on a true view. */
export const stillAsSeen = (kind: KindRef, object: KubeObject): Step => ({
  do: "patch",
  ref: { kind, ...keyOf(object) },
  body: {},
  resourceVersion: object.metadata.resourceVersion ?? "",
});

/** The same steps without the demand that the object is as it was seen. */
export const regardless = (steps: readonly Step[]): Step[] =>
  steps.map((step) => {
    if (step.do !== "patch") return step;
    const { resourceVersion: _, ...rest } = step;
    return rest;
  });
