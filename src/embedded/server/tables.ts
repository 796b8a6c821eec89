// meta.k8s.io Tables: what kubectl get prints.
import type { KubeObject } from "../../api/meta.ts";
import type { Resource } from "./resource.ts";
import type { Shown } from "./world.ts";

export interface TableOptions {
  version: "v1" | "v1beta1";
  /** What stands beside the cells. @default "Metadata" */
  include?: string | undefined;
  nowMs: number;
  /** Later events of a watch need no headings. */
  headless?: boolean;
}

export const partialOf = ({ metadata }: KubeObject, version = "v1"): object => ({
  kind: "PartialObjectMetadata",
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
});

export function tableOf(resource: Resource, items: readonly Shown[], metadata: object, options: TableOptions): object {
  const { version, include = "Metadata", nowMs, headless } = options;
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: headless
      ? []
      : resource.columns.map(({ name, type, format = "", description = "", priority = 0 }) => ({
          name,
          type,
          format,
          description,
          priority,
        })),
    rows: items.map(({ value }) => ({
      cells: resource.columns.map((column) => column.cell(value, nowMs)),
      ...(include === "None" ? {} : { object: include === "Object" ? value : partialOf(value, version) }),
    })),
  };
}
