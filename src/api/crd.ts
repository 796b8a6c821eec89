// The CustomResourceDefinition made from a kind's declaration.
import { plainSchema, type PlainSchema } from "./schema.ts";
import type { KindDeclaration, PrinterColumn } from "./kind-declaration.ts";
import type { KubeObject } from "./meta.ts";

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    names: {
      categories?: string[];
      kind: string;
      listKind: string;
      plural: string;
      shortNames?: string[];
      singular: string;
    };
    scope: "Namespaced" | "Cluster";
    versions: {
      additionalPrinterColumns?: PrinterColumn[];
      name: string;
      schema: { openAPIV3Schema: PlainSchema };
      served: boolean;
      storage: boolean;
      subresources?: { status: Record<string, never> };
    }[];
  };
}

export function crdOf(declaration: KindDeclaration): CustomResourceDefinition {
  const { ref, shortNames, categories, printerColumns } = declaration;
  const [group = "", version = ""] = ref.apiVersion.split("/");
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${ref.plural}.${group}` },
    spec: {
      group,
      names: {
        ...(categories ? { categories: [...categories] } : {}),
        kind: ref.kind,
        listKind: `${ref.kind}List`,
        plural: ref.plural,
        ...(shortNames ? { shortNames: [...shortNames] } : {}),
        singular: ref.kind.toLowerCase(),
      },
      scope: ref.namespaced ? "Namespaced" : "Cluster",
      versions: [
        {
          ...(printerColumns ? { additionalPrinterColumns: [...printerColumns] } : {}),
          name: version,
          schema: { openAPIV3Schema: plainSchema(declaration.schema) },
          served: true,
          storage: true,
          ...(declaration.statusSubresource ? { subresources: { status: {} } } : {}),
        },
      ],
    },
  };
}
