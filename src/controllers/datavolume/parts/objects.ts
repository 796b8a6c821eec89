// The claim a DataVolume makes, on the road without populators (interfaces/datavolume-lifecycle.md section 7).
import { annotations } from "../../../api/annotations.ts";
import type { ClaimSpec } from "../../../api/claim-spec.ts";
import type { CdiConfig } from "../../../api/cdi-config.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolume } from "../../../api/data-volume.ts";
import { kinds } from "../../../api/kinds.ts";
import { commonLabels, labels } from "../../../api/labels.ts";
import { ownedBy } from "../../parts/worker-pod.ts";
import type { ControllerOptions } from "../../options.ts";

/** @param work annotations that say what is to be done with it */
export function claimFor(
  dataVolume: DataVolume,
  spec: ClaimSpec,
  work: Readonly<Record<string, string>>,
  config: CdiConfig | undefined,
  options: ControllerOptions,
): Claim {
  const { metadata, spec: wanted } = dataVolume;
  const { [annotations.populatedFor]: _, ...own } = metadata.annotations ?? {};
  const preallocation = wanted.preallocation ?? config?.status?.preallocation ?? false;
  const filesystem = spec.volumeMode !== "Block";
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: metadata.name ?? "",
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: {
        ...commonLabels,
        ...options.installerLabels,
        ...(filesystem ? { [labels.fillingUpAlert]: "disabled" } : {}),
        ...metadata.labels,
      },
      annotations: {
        ...own,
        [annotations.usePopulator]: "false",
        [annotations.podRestarts]: "0",
        [annotations.contentType]: wanted.contentType ?? "kubevirt",
        [annotations.preallocationRequested]: String(preallocation),
        [annotations.createdForDataVolume]: metadata.uid ?? "",
        ...(wanted.priorityClassName ? { [annotations.podPriorityClassName]: wanted.priorityClassName } : {}),
        ...(wanted.serviceAccountName ? { [annotations.podServiceAccountName]: wanted.serviceAccountName } : {}),
        ...work,
      },
      ownerReferences: [ownedBy(kinds.dataVolume, dataVolume)],
    },
    spec,
  };
}
