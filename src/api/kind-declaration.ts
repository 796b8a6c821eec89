// What one file per kind declares: all a CustomResourceDefinition says about it.
import type { TSchema } from "@sinclair/typebox";
import type { KindRef } from "./meta.ts";

export interface PrinterColumn {
  jsonPath: string;
  name: string;
  type: "string" | "integer" | "date";
}

/** All a CustomResourceDefinition says about one kind. */
export interface KindDeclaration {
  readonly ref: KindRef;
  readonly schema: TSchema;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly printerColumns?: readonly PrinterColumn[];
  readonly statusSubresource: boolean;
}
