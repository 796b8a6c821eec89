// The CustomResourceDefinitions of this release as an installation carries them.
import { crdOf } from "../../api/crd.ts";
import { declaredKinds } from "../../api/declared-kinds.ts";
import { installLabels, type Install } from "./install.ts";
import type { KubeObject } from "../../api/meta.ts";

export const customResourcesFor = (install: Install): KubeObject[] =>
  declaredKinds.map((kind) => {
    const crd = crdOf(kind);
    return { ...crd, metadata: { ...crd.metadata, labels: installLabels(install) } };
  });
