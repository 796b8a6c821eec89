// The CDIConfig kind: the settings in force, one cluster-wide object named "config".
import { Type, type Static } from "@sinclair/typebox";
import { kinds } from "./kinds.ts";
import { PodResources } from "./resource-requirements.ts";
import { int32, mapOf, wordOf } from "./schema.ts";
import type { KindDeclaration } from "./kind-declaration.ts";
import type { KubeObject } from "./meta.ts";

/** The one object's name. */
export const cdiConfigName = "config";

const text = () => Type.Optional(Type.String());
const texts = () => Type.Optional(Type.Array(Type.String()));

/** A share of the volume, "0" to "1" with at most three decimals. */
const share = () => Type.String({ pattern: "^(0(?:\\.\\d{1,3})?|1)$" });

/** Per class, else `global`. */
export const FilesystemOverhead = Type.Object({
  global: Type.Optional(share()),
  storageClass: Type.Optional(mapOf(share())),
});
export type FilesystemOverhead = Static<typeof FilesystemOverhead>;

export const ImportProxy = Type.Object({
  HTTPProxy: text(),
  HTTPSProxy: text(),
  noProxy: text(),
  trustedCAProxy: text(),
});
export type ImportProxy = Static<typeof ImportProxy>;

const ImagePullSecrets = Type.Array(
  Type.Object({ name: Type.Optional(Type.String({ default: "" })) }, { "x-kubernetes-map-type": "atomic" }),
);

const noFields = () => Type.Object({}, { nullable: true });
const TlsSecurityProfile = Type.Object({
  custom: Type.Optional(
    Type.Object(
      {
        ciphers: Type.Array(Type.String()),
        minTLSVersion: wordOf(["VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"]),
      },
      { nullable: true },
    ),
  ),
  intermediate: Type.Optional(noFields()),
  modern: Type.Optional(noFields()),
  old: Type.Optional(noFields()),
  type: Type.Optional(wordOf(["Old", "Intermediate", "Modern", "Custom"])),
});

/** What an administrator asks for. `dataVolumeTTLSeconds` is accepted and ignored. */
export const CdiConfigSpec = Type.Object({
  dataVolumeTTLSeconds: Type.Optional(int32()),
  featureGates: texts(),
  filesystemOverhead: Type.Optional(FilesystemOverhead),
  imagePullSecrets: Type.Optional(ImagePullSecrets),
  importProxy: Type.Optional(ImportProxy),
  insecureRegistries: texts(),
  logVerbosity: Type.Optional(int32()),
  podResourceRequirements: Type.Optional(PodResources),
  preallocation: Type.Optional(Type.Boolean()),
  scratchSpaceStorageClass: text(),
  tlsSecurityProfile: Type.Optional(TlsSecurityProfile),
  uploadProxyURLOverride: text(),
  webhookPvcRendering: text(),
});

/** What is in force, defaults filled in. Controllers read this, not the spec (feature gates excepted). */
export const CdiConfigStatus = Type.Object({
  defaultPodResourceRequirements: Type.Optional(PodResources),
  filesystemOverhead: Type.Optional(FilesystemOverhead),
  imagePullSecrets: Type.Optional(ImagePullSecrets),
  importProxy: Type.Optional(ImportProxy),
  preallocation: Type.Optional(Type.Boolean()),
  scratchSpaceStorageClass: text(),
  uploadProxyCA: text(),
  uploadProxyURL: text(),
});

export type CdiConfigSpec = Static<typeof CdiConfigSpec>;
export type CdiConfigStatus = Static<typeof CdiConfigStatus>;
export interface CdiConfig extends KubeObject {
  spec: CdiConfigSpec;
  status?: CdiConfigStatus;
}

export const cdiConfigKind: KindDeclaration = {
  ref: kinds.cdiConfig,
  schema: Type.Object({
    apiVersion: text(),
    kind: text(),
    metadata: Type.Optional(Type.Object({})),
    spec: CdiConfigSpec,
    status: Type.Optional(CdiConfigStatus),
  }),
  statusSubresource: false,
};
