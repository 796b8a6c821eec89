// metav1.LabelSelector.
import { Type, type Static } from "@sinclair/typebox";
import { mapOf } from "./schema.ts";

export const LabelSelector = Type.Object(
  {
    matchExpressions: Type.Optional(
      Type.Array(
        Type.Object({
          key: Type.String(),
          operator: Type.String(),
          values: Type.Optional(Type.Array(Type.String(), { "x-kubernetes-list-type": "atomic" })),
        }),
        { "x-kubernetes-list-type": "atomic" },
      ),
    ),
    matchLabels: Type.Optional(mapOf(Type.String())),
  },
  { "x-kubernetes-map-type": "atomic" },
);
export type LabelSelector = Static<typeof LabelSelector>;
