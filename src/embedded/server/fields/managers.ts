// metadata.managedFields: who set which fields, read, changed and written back. Source: Kubernetes' server-side apply,
// apimachinery managedfields.
import type { KubeObject } from "../../../api/meta.ts";
import { isRecord } from "../schema/structural.ts";
import { difference, isEmptySet, sameSet, type FieldSet } from "./field-set.ts";

export interface ManagerName {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
}
export interface Manager extends ManagerName {
  readonly time?: string | undefined;
  readonly set: FieldSet;
}

/** Appliers are the same whatever version they speak. */
export const sameManager = (a: ManagerName, b: ManagerName): boolean =>
  a.manager === b.manager &&
  a.operation === b.operation &&
  (a.subresource ?? "") === (b.subresource ?? "") &&
  (a.operation === "Apply" || a.apiVersion === b.apiVersion);

/** @returns undefined when an entry cannot be read */
export function readManagers(entries: readonly unknown[]): Manager[] | undefined {
  const read = entries.map((entry) => {
    if (!isRecord(entry) || !isRecord(entry["fieldsV1"])) return undefined;
    const { manager = "", operation, apiVersion, subresource, time, fieldsV1 } = entry as Record<string, unknown>;
    if (operation !== "Apply" && operation !== "Update") return undefined;
    if (typeof manager !== "string" || typeof apiVersion !== "string") return undefined;
    return {
      manager,
      operation,
      apiVersion,
      set: fieldsV1 as FieldSet,
      ...(typeof time === "string" ? { time } : {}),
      ...(typeof subresource === "string" && subresource !== "" ? { subresource } : {}),
    } satisfies Manager;
  });
  return read.every((one) => one !== undefined) ? read : undefined;
}

/** The list that says "forget all owners". */
export const isReset = (entries: readonly unknown[] | undefined): boolean =>
  entries?.length === 1 && isRecord(entries[0]) && Object.keys(entries[0]).length === 0;

/** What a write starts from: the sent list where it can be read (owners may be edited), else the stored one. */
export function managersBefore(old: KubeObject | undefined, sent: KubeObject, subresource?: string): Manager[] {
  const given = sent.metadata.managedFields;
  const stored = readManagers(old?.metadata.managedFields ?? []) ?? [];
  if (subresource !== undefined || given === undefined || given.length === 0) return stored;
  if (isReset(given)) return [];
  return readManagers(given) ?? stored;
}

/** Appliers first, then by time and name, as the real server orders them. */
export function writeManagers(draft: KubeObject, managers: readonly Manager[]): void {
  const order = ({ operation, time = "", manager }: Manager): string => `${operation} ${time} ${manager}`;
  const entries = managers
    .toSorted((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(({ manager, operation, apiVersion, time, set, subresource }) => ({
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: "FieldsV1",
      fieldsV1: set,
      ...(subresource === undefined ? {} : { subresource }),
    }));
  if (entries.length === 0) delete draft.metadata.managedFields;
  else draft.metadata.managedFields = entries;
}

/** A manager with a new set; its time moves with the set. @returns undefined when nothing is left */
export function withSet(name: ManagerName, before: Manager | undefined, set: FieldSet, now: string): Manager[] {
  if (isEmptySet(set)) return [];
  if (before && before.apiVersion === name.apiVersion && sameSet(before.set, set)) return [before];
  return [{ ...name, time: now, set }];
}

/** The others, without the fields they have lost. */
export const withoutFields = (managers: readonly Manager[], lost: FieldSet): Manager[] =>
  managers.flatMap((one) => {
    const set = difference(one.set, lost);
    return isEmptySet(set) ? [] : [sameSet(set, one.set) ? one : { ...one, set }];
  });
