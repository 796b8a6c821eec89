// What an object counts for against a ResourceQuota, and amounts as the real server writes them. Pure. Amounts are thousandths.
// Source: Kubernetes' quota evaluators of pods, claims and object counts. Scopes are not looked at.
import type { KubeObject } from "../../../api/meta.ts";
import { parseQuantity } from "../../../lib/quantity.ts";
import { at, list, text } from "../builtins/fields.ts";
import { groupResource, type Resource } from "../resource.ts";

/** Name of what is counted ("requests.storage") -> thousandths. */
export type Amounts = Readonly<Record<string, number>>;

/** Kinds of the core group that a quota also names without "count/". */
const countedByName = "pods services configmaps secrets persistentvolumeclaims resourcequotas".split(" ");

export function usageOf(resource: Resource, object: KubeObject): Amounts {
  if (resource.plural === "pods" && ["Succeeded", "Failed"].includes(text(object, "status", "phase"))) return {};
  const name = groupResource(resource);
  return {
    [`count/${name}`]: 1000,
    ...(countedByName.includes(name) ? { [name]: 1000 } : {}),
    ...(name === "pods" ? podUsage(object) : {}),
    ...(name === "persistentvolumeclaims" ? claimUsage(object) : {}),
  };
}

function claimUsage(claim: KubeObject): Amounts {
  const bytes = thousandths(at(claim, "spec", "resources", "requests", "storage")) ?? 0;
  const className = text(claim, "spec", "storageClassName");
  const ofClass = `${className}.storageclass.storage.k8s.io`;
  return {
    "requests.storage": bytes,
    ...(className ? { [`${ofClass}/requests.storage`]: bytes, [`${ofClass}/persistentvolumeclaims`]: 1000 } : {}),
  };
}

const computed = ["cpu", "memory", "ephemeral-storage"] as const;

/** What a pod asks for: all its containers together, or its greediest init container if that asks for more. */
function podUsage(pod: KubeObject): Amounts {
  const amounts: Record<string, number> = {};
  for (const what of computed) {
    for (const side of ["requests", "limits"] as const) {
      const main = list(pod, "spec", "containers").map((one) => askedBy(one, side, what) ?? 0);
      const init = list(pod, "spec", "initContainers").map((one) => askedBy(one, side, what) ?? 0);
      const amount = Math.max(
        main.reduce((sum, one) => sum + one, 0),
        ...init,
      );
      amounts[`${side}.${what}`] = amount;
      if (side === "requests") amounts[what] = amount;
    }
  }
  return amounts;
}

function askedBy(container: object, side: "requests" | "limits", what: string): number | undefined {
  const limit = thousandths(at(container, "resources", "limits", what));
  if (side === "limits") return limit;
  return thousandths(at(container, "resources", "requests", what)) ?? limit;
}

/** Where a quota counts what a container does not say: "limits.cpu for: importer", sorted. */
export function unsaidBy(pod: KubeObject, hard: Amounts): string[] {
  const containers = [...list(pod, "spec", "containers"), ...list(pod, "spec", "initContainers")];
  return Object.keys(hard)
    .toSorted()
    .flatMap((key) => {
      const [side, what] = key.includes(".") ? key.split(".", 2) : ["requests", key];
      if (!computed.some((one) => one === what) || (side !== "requests" && side !== "limits")) return [];
      const silent = containers.filter((one) => askedBy(one, side, what ?? "") === undefined);
      return silent.length === 0 ? [] : [`${key} for: ${silent.map((one) => text(one, "name")).join(",")}`];
    });
}

export function hardOf(quota: KubeObject): Amounts {
  const hard = at(quota, "spec", "hard") ?? {};
  return Object.fromEntries(Object.entries(hard).map(([key, value]) => [key, thousandths(value) ?? 0]));
}

/** The part of `amounts` that is counted in `hard`, with a 0 for the rest of it. */
export const countedIn = (hard: Amounts, amounts: Amounts): Amounts =>
  Object.fromEntries(Object.keys(hard).map((key) => [key, amounts[key] ?? 0]));

export const sumOf = (all: readonly Amounts[]): Amounts => {
  const sum: Record<string, number> = {};
  for (const amounts of all) for (const [key, value] of Object.entries(amounts)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
};

function thousandths(quantity: unknown): number | undefined {
  if (typeof quantity !== "string" && typeof quantity !== "number") return undefined;
  const shown = String(quantity);
  if (/^\d+m$/.test(shown)) return Number(shown.slice(0, -1));
  if (/^\d*\.\d+$/.test(shown)) return Math.ceil(Number(shown) * 1000);
  const whole = parseQuantity(shown);
  return whole === undefined ? undefined : whole * 1000;
}

const units: readonly (readonly [string, number])[] = [
  ...["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"].map((unit, index) => [unit, 1024 ** (6 - index)] as const),
  ...["E", "P", "T", "G", "M", "k"].map((unit, index) => [unit, 1000 ** (6 - index)] as const),
];

/** The shortest exact form: "750m", "600M", "1Gi". */
export function shownAmount(amount: number): string {
  if (amount === 0) return "0";
  if (amount % 1000 !== 0) return `${amount}m`;
  const whole = amount / 1000;
  const [unit, scale] = units.find(([, size]) => whole % size === 0) ?? ["", 1];
  return `${whole / scale}${unit}`;
}

/** "limits.cpu=750m,limits.memory=600M" */
export const shownAmounts = (amounts: Amounts): string =>
  Object.entries(amounts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${shownAmount(value)}`)
    .join(",");
