// How much of something is asked for: a claim's storage, a pod's memory.
import { Type, type Static } from "@sinclair/typebox";
import { mapOf, quantity } from "./schema.ts";

/** core/v1 VolumeResourceRequirements. */
export const VolumeResources = Type.Object({
  limits: Type.Optional(mapOf(quantity())),
  requests: Type.Optional(mapOf(quantity())),
});
export type VolumeResources = Static<typeof VolumeResources>;

/** core/v1 ResourceRequirements. */
export const PodResources = Type.Object({
  claims: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), request: Type.Optional(Type.String()) }), {
      "x-kubernetes-list-map-keys": ["name"],
      "x-kubernetes-list-type": "map",
    }),
  ),
  limits: Type.Optional(mapOf(quantity())),
  requests: Type.Optional(mapOf(quantity())),
});
export type PodResources = Static<typeof PodResources>;
