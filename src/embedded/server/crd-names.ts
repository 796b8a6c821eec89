// Names of definitions of one group: who came first keeps them, who came later is told and not served.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { at, list, section, strings, text } from "./builtins/fields.ts";
import { collectionPrefix } from "./resource.ts";
import { valueOf, type World } from "./world.ts";

const prefix = collectionPrefix(kinds.crd);

export const isEstablished = (crd: KubeObject): boolean =>
  list(crd, "status", "conditions").some(({ type, status }) => type === "Established" && status === "True");

/** Writes what is in use already into the new definition's conditions. */
export function passNames(world: Pick<World, "store">, draft: KubeObject): void {
  const others = world.store
    .list(prefix)
    .map(valueOf)
    .filter((one) => one.metadata.name !== draft.metadata.name && isEstablished(one))
    .filter((one) => text(one, "spec", "group") === text(draft, "spec", "group"));
  const conflict = conflictIn(draft, others);
  if (!conflict) return;
  const states: Record<string, object> = {
    NamesAccepted: { status: "False", reason: conflict.reason, message: conflict.message },
    Established: { status: "False", reason: "NotAccepted", message: "not all names are accepted" },
  };
  section(draft, "status")["conditions"] = list(draft, "status", "conditions").map((one) => ({
    ...one,
    ...states[String(one["type"])],
  }));
}

function conflictIn(draft: KubeObject, others: readonly KubeObject[]): { reason: string; message: string } | undefined {
  const names = (crd: KubeObject): unknown => at(crd, "spec", "names");
  const words = others.flatMap((one) => [
    text(names(one), "plural"),
    text(names(one), "singular"),
    ...strings(names(one), "shortNames"),
  ]);
  const kindsUsed = others.flatMap((one) => [text(names(one), "kind"), text(names(one), "listKind")]);
  const rows = [
    ["PluralConflict", [text(names(draft), "plural")], words],
    ["SingularConflict", [text(names(draft), "singular")], words],
    ["ShortNamesConflict", strings(names(draft), "shortNames"), words],
    ["KindConflict", [text(names(draft), "kind")], kindsUsed],
    ["ListKindConflict", [text(names(draft), "listKind")], kindsUsed],
  ] as const;
  for (const [reason, wanted, used] of rows) {
    const taken = wanted.find((word) => word !== "" && used.includes(word));
    if (taken !== undefined) return { reason, message: `${JSON.stringify(taken)} is already in use` };
  }
  return undefined;
}
