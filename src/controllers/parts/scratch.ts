// Scratch space beside a worker pod: a claim of the pod's own, made once the pod is there, gone with it. It is given only when
// the pod's program, or the user, asks.
import { annotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels, labels } from "../../api/labels.ts";
import type { Plan, Step } from "../../kube/index.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import type { ControllerOptions } from "../options.ts";
import { patchMetadata, type Wanted } from "./annotation-changes.ts";
import { annotationOf } from "./claim-facts.ts";
import { scratchClaimName } from "./names.ts";
import { requiredBytes, roundUp, usableBytes } from "./overhead.ts";
import { scratchReason, scratchText } from "./running-condition.ts";
import { deletionOf } from "./steps.ts";
import { namespaced, ownedBy, scratchVolume } from "./worker-pod.ts";

export interface ScratchInputs {
  claim: Claim;
  pod: Pod;
  config: CdiConfig | undefined;
  overhead: string;
  /** Overhead of the class scratch space is taken from. */
  scratchOverhead: string;
  options: ControllerOptions;
}

/** The configured class, else the target's; undefined = the cluster's default. */
export const scratchClassOf = (claim: Claim, config: CdiConfig | undefined): string | undefined =>
  config?.status?.scratchSpaceStorageClass || claim.spec.storageClassName;

/** Bytes of a scratch claim: room for all that fits the target. */
export function scratchBytes(claim: Claim, overhead: string, scratchOverhead: string): number {
  const request = parseQuantity(claim.spec.resources?.requests?.storage ?? 0) ?? 0;
  return roundUp(requiredBytes(usableBytes(request, Number(overhead)), Number(scratchOverhead)));
}

export function scratchClaimFor({ claim, pod, config, overhead, scratchOverhead, options }: ScratchInputs): Claim {
  const storageClassName = scratchClassOf(claim, config);
  const kept = Object.entries(claim.metadata.annotations ?? {}).filter(
    ([key]) => key.includes("kubevirt.io/") && !key.includes("cdi.kubevirt.io/"),
  );
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: scratchClaimName(claim.metadata.name ?? ""),
      ...namespaced(claim),
      labels: { ...commonLabels, ...options.installerLabels, [labels.excludeFromBackup]: "true" },
      annotations: Object.fromEntries(kept),
      ownerReferences: [ownedBy(kinds.pod, pod)],
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      volumeMode: "Filesystem",
      resources: { requests: { storage: String(scratchBytes(claim, overhead, scratchOverhead)) } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  };
}

/** Only when the pod's program or the user asked. */
export const needsScratch = (claim: Claim): boolean =>
  annotationOf(claim, annotations.importRequiresScratch) === "true";

export const creatingScratch: Wanted = {
  [annotations.boundCondition]: "false",
  [annotations.boundConditionMessage]: "Creating scratch space",
  [annotations.boundConditionReason]: "CreatingScratchSpace",
};

/** With the claim of the scratch space's name, whoever owns it. */
export type ScratchFacts = ScratchInputs & { scratch?: Claim | undefined };

/** The pod waits for its scratch claim, if it mounts one. */
export function scratchSteps(seen: ScratchFacts): { wanted: Wanted; steps: Step[] } {
  const { pod, scratch } = seen;
  const steps: Step[] = [];
  if (!pod.spec.volumes?.some((one) => one.name === scratchVolume)) return { wanted: {}, steps };
  if (!scratch) {
    return { wanted: {}, steps: [{ do: "create", kind: kinds.claim, object: scratchClaimFor(seen) }] };
  }
  const isThisPods = scratch.metadata.ownerReferences?.some((one) => one.uid === pod.metadata.uid) ?? false;
  const isGoing = scratch.metadata.deletionTimestamp !== undefined;
  // An earlier pod's: it must go before this pod's can be made.
  if (!isThisPods) return { wanted: {}, steps: isGoing ? steps : [deletionOf(kinds.claim, scratch)] };
  if (isGoing) return { wanted: {}, steps: [deletionOf(kinds.pod, pod)] };
  const wanted = {
    [annotations.importRequiresScratch]: "false",
    [annotations.boundCondition]: null,
    [annotations.boundConditionMessage]: null,
    [annotations.boundConditionReason]: null,
  };
  return { wanted, steps };
}

/** A normal answer: the phase stays, the pod is made again with scratch space. */
export function askForScratch(claim: Claim, pod: Pod): Plan {
  const wanted: Wanted = {
    [annotations.importRequiresScratch]: "true",
    [annotations.runningCondition]: "false",
    [annotations.runningConditionMessage]: scratchText,
    [annotations.runningConditionReason]: scratchReason,
  };
  return { steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), deletionOf(kinds.pod, pod)] };
}
