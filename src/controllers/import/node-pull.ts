// A pod whose node pulls the image under import (interfaces/registry.md section 5): which image that is, and what stands beside
// the importer. Pure.
import { annotations } from "../../api/annotations.ts";
import type { Claim } from "../../api/core.ts";
import { copyCommand, nodePull, serverCommand, silencedVariables } from "../../contract/node-pull.ts";
import { annotationOf } from "../parts/claim-facts.ts";
import { ourAnnotations } from "../parts/our-annotations.ts";
import type { Mounted, WorkerPod } from "../parts/worker-pod.ts";
import { importSourceOf } from "./claim-facts.ts";

export const isNodePull = (claim: Claim): boolean =>
  importSourceOf(claim) === "registry" && annotationOf(claim, annotations.registryImportMethod) === "node";

/** An ImageStream of OpenShift, which resolves the name itself when the pod is made. */
export const isImageStream = (claim: Claim): boolean =>
  isNodePull(claim) && annotationOf(claim, annotations.registryImageStream) === "true";

/** Keeps a claim until its pod, which it does not own, is gone. */
export const imageStreamFinalizer = "cdi.kubevirt.io/importImageStream";

/**
 * As the node is told: a URL without its scheme and without what a registry's name has no place for. What is no URL of a
 * registry goes to the node as it is, which says InvalidImageName.
 */
export function nodeImageOf(claim: Claim): string {
  const endpoint = annotationOf(claim, annotations.importEndpoint) ?? "";
  if (isImageStream(claim)) return endpoint;
  return endpoint.replace(/^docker:\/\//, "").replace(/[?#].*$/s, "");
}

/** What both containers see. */
export const sharedVolume: Mounted = { volume: { name: nodePull.volume, emptyDir: {} }, path: nodePull.folder };

type Beside = Pick<WorkerPod, "annotations" | "before" | "beside" | "nodeSelector" | "isOwned" | "hasNoToken">;

/** @param importerImage holds the server that is copied */
export function besideImporter(claim: Claim, importerImage: string): Beside {
  const architecture = annotationOf(claim, annotations.registryImageArchitecture);
  const ofStream = { [annotations.resolveNames]: "*", [ourAnnotations.claimUid]: claim.metadata.uid ?? "" };
  const mounts = [{ name: nodePull.volume, mountPath: nodePull.folder }];
  return {
    annotations: isImageStream(claim) ? ofStream : {},
    before: [{ name: "init", image: importerImage, command: [...copyCommand], volumeMounts: mounts }],
    beside: [
      {
        name: "server",
        image: nodeImageOf(claim),
        command: [...serverCommand],
        env: silencedVariables.map((name) => ({ name, value: "" })),
        volumeMounts: mounts,
      },
    ],
    ...(architecture ? { nodeSelector: { [annotations.nodeArchitecture]: architecture } } : {}),
    // A file of the image may be a link to it.
    hasNoToken: true,
    // The pod is resolved as one somebody made by hand.
    isOwned: !isImageStream(claim),
  };
}
