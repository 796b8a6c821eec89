// Every custom kind of this release: what is installed, documented and served.
import { cdiConfigKind } from "./cdi-config.ts";
import { dataVolumeKind } from "./data-volume.ts";
import { storageProfileKind } from "./storage-profile.ts";
import type { KindDeclaration } from "./kind-declaration.ts";

export const declaredKinds: readonly KindDeclaration[] = [cdiConfigKind, dataVolumeKind, storageProfileKind];
