// The DataVolume kind: one declaration from which its TypeScript types and its CustomResourceDefinition come.
import { Type, type Static } from "@sinclair/typebox";
import { ClaimSpec, StorageSpec } from "./claim-spec.ts";
import { Conditions } from "./conditions.ts";
import { kinds } from "./kinds.ts";
import { int32, int64, openWord, wordOf } from "./schema.ts";
import type { KindDeclaration } from "./kind-declaration.ts";
import type { KubeObject } from "./meta.ts";
import type { DataVolumePhase } from "./phases.ts";

const text = () => Type.Optional(Type.String());
const texts = () => Type.Optional(Type.Array(Type.String()));
const flag = () => Type.Optional(Type.Boolean());
const objectReference = () => Type.Object({ name: Type.String(), namespace: Type.String() });

/** Where the bytes come from. Exactly one member may be set; a check says so, the schema does not. */
export const DataVolumeSource = Type.Object({
  blank: Type.Optional(Type.Object({})),
  gcs: Type.Optional(Type.Object({ secretRef: text(), url: Type.String() })),
  http: Type.Optional(
    Type.Object({
      certConfigMap: text(),
      checksum: text(),
      extraHeaders: texts(),
      insecureSkipVerify: flag(),
      secretExtraHeaders: texts(),
      secretRef: text(),
      url: Type.String(),
    }),
  ),
  imageio: Type.Optional(
    Type.Object({
      certConfigMap: text(),
      diskId: Type.String(),
      insecureSkipVerify: flag(),
      secretRef: text(),
      url: Type.String(),
    }),
  ),
  pvc: Type.Optional(objectReference()),
  registry: Type.Optional(
    Type.Object({
      certConfigMap: text(),
      imageStream: text(),
      platform: Type.Optional(Type.Object({ architecture: text() })),
      pullMethod: text(),
      secretRef: text(),
      url: text(),
    }),
  ),
  s3: Type.Optional(Type.Object({ certConfigMap: text(), secretRef: text(), url: Type.String() })),
  snapshot: Type.Optional(objectReference()),
  upload: Type.Optional(Type.Object({})),
  vddk: Type.Optional(
    Type.Object({
      backingFile: text(),
      certConfigMap: text(),
      extraArgs: text(),
      initImageURL: text(),
      secretRef: text(),
      thumbprint: text(),
      url: text(),
      uuid: text(),
    }),
  ),
});

export const contentTypes = ["kubevirt", "archive"] as const;
export type ContentType = (typeof contentTypes)[number];

export const DataVolumeSpec = Type.Object({
  checkpoints: Type.Optional(Type.Array(Type.Object({ current: Type.String(), previous: Type.String() }))),
  contentType: Type.Optional(wordOf(contentTypes)),
  finalCheckpoint: flag(),
  preallocation: flag(),
  priorityClassName: text(),
  pvc: Type.Optional(ClaimSpec),
  serviceAccountName: text(),
  source: Type.Optional(DataVolumeSource),
  sourceRef: Type.Optional(Type.Object({ kind: Type.String(), name: Type.String(), namespace: text() })),
  storage: Type.Optional(StorageSpec),
});

/** Additive: what moves, how far it is, and what went wrong last. Bytes are of the source or the disk, as the stage says. */
export const Transfer = Type.Object({
  /** The data path's stage word: connecting, transferring, downloading, converting, finishing. */
  stage: text(),
  /** From 1. */
  stageIndex: Type.Optional(int32()),
  stageCount: Type.Optional(int32()),
  bytesDone: Type.Optional(int64()),
  bytesTotal: Type.Optional(int64()),
  bytesPerSecond: Type.Optional(int64()),
  etaSeconds: Type.Optional(int64()),
  /** Where an earlier attempt's bytes were taken up again, bytes of the source; 0 where that could not be, absent where there were none. */
  resumedFromBytes: Type.Optional(int64()),
  /** Container starts so far, from 1. */
  attempt: Type.Optional(int32()),
  /** Catalog code of the last fault; absent while all is well. */
  code: text(),
  remedy: text(),
});

export const DataVolumeStatus = Type.Object({
  claimName: text(),
  conditions: Type.Optional(Conditions),
  /** Additive. */
  observedGeneration: Type.Optional(int64()),
  phase: Type.Optional(openWord<DataVolumePhase>()),
  progress: text(),
  restartCount: Type.Optional(int32()),
  transfer: Type.Optional(Transfer),
});

export type DataVolumeSource = Static<typeof DataVolumeSource>;
export type DataVolumeSpec = Static<typeof DataVolumeSpec>;
export type Transfer = Static<typeof Transfer>;
export type DataVolumeStatus = Static<typeof DataVolumeStatus>;
export interface DataVolume extends KubeObject {
  spec: DataVolumeSpec;
  status?: DataVolumeStatus;
}

export const dataVolumeKind: KindDeclaration = {
  ref: kinds.dataVolume,
  schema: Type.Object({
    apiVersion: text(),
    kind: text(),
    metadata: Type.Optional(Type.Object({})),
    spec: DataVolumeSpec,
    status: Type.Optional(DataVolumeStatus),
  }),
  shortNames: ["dv", "dvs"],
  categories: ["all"],
  printerColumns: [
    { jsonPath: ".status.phase", name: "Phase", type: "string" },
    { jsonPath: ".status.progress", name: "Progress", type: "string" },
    { jsonPath: ".status.restartCount", name: "Restarts", type: "integer" },
    { jsonPath: ".metadata.creationTimestamp", name: "Age", type: "date" },
  ],
  statusSubresource: true,
};
