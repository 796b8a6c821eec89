// Node pull on the controller's side: the pod's shape, what is said of each of its containers, and the claim that an ImageStream's
// pod does not belong to.
import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { ContainerState, ContainerStatus, Pod } from "../../../src/api/core.ts";
import { importerPodFor } from "../../../src/controllers/import/objects.ts";
import { claimFilledBy, claimsOfPod } from "../../../src/controllers/parts/claim-keys.ts";
import { ourAnnotations } from "../../../src/controllers/parts/our-annotations.ts";
import { runningOf } from "../../../src/controllers/parts/running-condition.ts";
import { decideImport } from "../../../src/controllers/import/decide.ts";
import { aClaim, aConfig, aPod, claimUid, isRunning, terminated, type ClaimParts } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";
import { aStartedClaim, facts, judge, options, patch, remove, type Row } from "./import-rows.ts";

const image = "registry.test:5000/vm/disk:1";
const fromNode = {
  [annotations.importSource]: "registry",
  [annotations.registryImportMethod]: "node",
  [annotations.importEndpoint]: `docker://${image}`,
};
const fromStream = {
  ...fromNode,
  [annotations.importEndpoint]: "golden:latest",
  [annotations.registryImageStream]: "true",
};
const podOf = (given: Record<string, string> = {}, parts: ClaimParts = {}): Pod =>
  importerPodFor({
    claim: aClaim({ ...parts, annotations: { ...fromNode, ...given } }),
    config: aConfig({ status: { imagePullSecrets: [{ name: "pull" }] } }),
    overhead: "0.06",
    withScratch: false,
    options,
  });

describe("the pod", () => {
  const restricted = {
    runAsNonRoot: true,
    runAsUser: 107,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  const shared = [{ name: "shared-volume", mountPath: "/shared" }];

  test("has an init container that copies the server, the importer, and the image under import", () => {
    const { spec } = podOf();
    expect(spec.initContainers).toMatchObject([
      {
        name: "init",
        image: "importer:test",
        command: ["/usr/bin/cdi-containerimage-server", "-copy-to", "/shared"],
        volumeMounts: shared,
      },
    ]);
    expect(spec.containers.map((one) => one.name)).toEqual(["importer", "server"]);
    const [importer, server] = spec.containers;
    expect(importer?.volumeMounts).toEqual([{ name: "cdi-data-vol", mountPath: "/data" }, ...shared]);
    expect(server).toMatchObject({ image, imagePullPolicy: "IfNotPresent", volumeMounts: shared });
    expect(server?.command?.join(" ")).toBe(
      "/shared/lib/ld.so --inhibit-cache --library-path /shared/lib /shared/node --openssl-config=/dev/null /shared/server.mjs" +
        " -p 8100 -image-dir /disk -ready-file /shared/ready -done-file /shared/done",
    );
    expect(server).not.toHaveProperty("args");
    for (const name of ["LD_PRELOAD", "LD_AUDIT", "NODE_OPTIONS"])
      expect(server?.env).toContainEqual({ name, value: "" });
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.volumes).toContainEqual({ name: "shared-volume", emptyDir: {} });
    expect(spec.imagePullSecrets).toEqual([{ name: "pull" }]);
    expect(spec).not.toHaveProperty("nodeSelector");
    for (const one of [...(spec.initContainers ?? []), ...spec.containers])
      expect(one).toMatchObject({
        securityContext: restricted,
        resources: { limits: { memory: "600M" } },
        terminationMessagePolicy: "FallbackToLogsOnError",
      });
  });

  test("tells the importer of the server, and neither credentials nor authorities: the node has its own", () => {
    const pod = podOf({ [annotations.importSecretName]: "keys", [annotations.importCertConfigMap]: "ca" });
    const env = Object.fromEntries((pod.spec.containers[0]?.env ?? []).map((one) => [one.name, one.value]));
    expect(env).toMatchObject({
      IMPORTER_SOURCE: "http",
      IMPORTER_ENDPOINT: "http://localhost:8100/disk.img",
      IMPORTER_PULL_METHOD: "node",
      IMPORTER_READY_FILE: "/shared/ready",
      IMPORTER_DONE_FILE: "/shared/done",
    });
    for (const name of ["IMPORTER_ACCESS_KEY_ID", "CDI_REGISTRY_AUTH", "IMPORTER_CERT_DIR"])
      expect(env).not.toHaveProperty(name);
    expect(pod.spec.volumes?.map((one) => one.name)).not.toContain("cdi-cert-vol");
  });

  test("fills a device beside the shared folder", () => {
    const [importer, server] = podOf({}, { spec: { volumeMode: "Block" } }).spec.containers;
    expect(importer?.volumeDevices).toHaveLength(1);
    expect(server).not.toHaveProperty("volumeDevices");
  });

  test("goes to a node of the architecture that is asked for", () => {
    const pod = podOf({ [annotations.registryImageArchitecture]: "arm64" });
    expect(pod.spec.nodeSelector).toEqual({ "kubernetes.io/arch": "arm64" });
  });

  test.each([
    ["docker://registry.test/a/b@sha256:00ff", "registry.test/a/b@sha256:00ff"],
    ["docker://registry.test/a:1?x=y", "registry.test/a:1"],
    ["docker://fedora", "fedora"],
    // The node says of it that it is no name of an image.
    ["oci-archive:/tmp/x.tar", "oci-archive:/tmp/x.tar"],
  ])("%s is %s to the node", (endpoint, name) => {
    expect(podOf({ [annotations.importEndpoint]: endpoint }).spec.containers[1]?.image).toBe(name);
  });

  test("of an ImageStream is resolved by OpenShift, has no owner, and says whose it is", () => {
    const pod = podOf(fromStream);
    expect(pod.metadata).not.toHaveProperty("ownerReferences");
    expect(pod.metadata.annotations).toMatchObject({
      "alpha.image.policy.openshift.io/resolve-names": "*",
      [ourAnnotations.claimUid]: claimUid,
    });
    expect(pod.spec.containers[1]?.image).toBe("golden:latest");
    expect(podOf().metadata).toMatchObject({ ownerReferences: [{ uid: claimUid }] });
    expect(podOf().metadata.annotations).not.toHaveProperty("alpha.image.policy.openshift.io/resolve-names");
    const labelled = { ...pod, metadata: { ...pod.metadata, labels: { "cdi.kubevirt.io": "importer" } } };
    expect(claimFilledBy(labelled)).toEqual({ namespace: "default", name: "disk" });
    expect(claimsOfPod(labelled)).toContainEqual({ namespace: "default", name: "disk" });
  });
});

const status = (name: string, state: ContainerState, lastState?: ContainerState): ContainerStatus => ({
  name,
  ready: state.running !== undefined,
  restartCount: 0,
  state,
  ...(lastState ? { lastState } : {}),
});
const waiting = (reason: string, message = ""): ContainerState => ({ waiting: { reason, message } });

/** The pod of a node pull whose containers are in these states. */
function aNodePod(importer: ContainerStatus, server: ContainerStatus, init?: ContainerStatus): Pod {
  const made = podOf();
  const pod = aPod({ phase: "Pending" });
  const containerStatuses = [importer, server];
  return {
    ...pod,
    spec: made.spec,
    status: { phase: "Pending", containerStatuses, ...(init ? { initContainerStatuses: [init] } : {}) },
  };
}
const initDone = status("init", terminated(0, ""));
const pullFailed = { running: false, message: `failed to pull image: ${image}`, reason: "ImagePullFailed" };
const server = (state: ContainerState, lastState?: ContainerState) => status("server", state, lastState);
const importer = (state: ContainerState, lastState?: ContainerState) => status("importer", state, lastState);

test.each<[when: string, pod: Pod, is: ReturnType<typeof runningOf>]>([
  [
    "both run",
    aNodePod(importer(isRunning), server(isRunning), initDone),
    { running: true, message: "", reason: "Pod is running" },
  ],
  ...["ErrImagePull", "ImagePullBackOff", "InvalidImageName"].map((reason): [string, Pod, typeof pullFailed] => [
    `the image cannot be pulled (${reason}) while the importer waits`,
    aNodePod(importer(isRunning), server(waiting(reason, "x"))),
    pullFailed,
  ]),
  [
    "the image cannot be pulled, and the importer gave up for now",
    aNodePod(
      importer(waiting("CrashLoopBackOff"), terminated(111, "Timeout waiting for file /shared/ready")),
      server(waiting("ImagePullBackOff")),
    ),
    pullFailed,
  ],
  [
    "the importer's own image cannot be pulled",
    aNodePod(
      importer(waiting("PodInitializing")),
      server(waiting("PodInitializing")),
      status("init", waiting("ErrImagePull")),
    ),
    { running: false, message: "failed to pull image: importer:test", reason: "ImagePullFailed" },
  ],
  [
    "the image is still being pulled",
    aNodePod(importer(isRunning), server(waiting("ContainerCreating")), initDone),
    { running: false, message: "", reason: "ContainerCreating" },
  ],
  [
    "the server fails",
    aNodePod(importer(isRunning), server(waiting("CrashLoopBackOff"), terminated(106, "more than one file"))),
    { running: false, message: "more than one file", reason: "Error" },
  ],
  [
    "the copying fails",
    aNodePod(
      importer(waiting("PodInitializing")),
      server(waiting("PodInitializing")),
      status("init", waiting("CrashLoopBackOff"), terminated(1, "no space left on device")),
    ),
    { running: false, message: "DataVolume too small to contain image", reason: "Error" },
  ],
  [
    "the server has ended well before the importer",
    aNodePod(importer(isRunning), server(terminated(0, ""))),
    { running: true, message: "", reason: "Pod is running" },
  ],
])("running: %s", (_, pod, is) => {
  expect(runningOf(pod)).toEqual(is);
});

const goingAt = "2026-01-02T03:04:00Z";
const streamClaim = (parts: ClaimParts = {}) =>
  aStartedClaim({ ...parts, annotations: { ...fromStream, ...parts.annotations } });
/** A claim that is held for its pod. */
function heldClaim(more: Record<string, string> = {}, deletionTimestamp?: string) {
  const claim = streamClaim({ annotations: more });
  const finalizers = ["kubernetes.io/pvc-protection", "cdi.kubevirt.io/importImageStream"];
  return { ...claim, metadata: { ...claim.metadata, finalizers, ...(deletionTimestamp ? { deletionTimestamp } : {}) } };
}

const rows: Row[] = [
  {
    when: "the image cannot be pulled: the kubelet goes on trying, and a code says why",
    seen: facts({
      claim: aStartedClaim({ annotations: fromNode }),
      pod: aNodePod(importer(isRunning), server(waiting("ErrImagePull"))),
    }),
    steps: [patch],
    says: {
      [annotations.runningCondition]: "false",
      [annotations.runningConditionReason]: "ImagePullFailed",
      [annotations.runningConditionMessage]: `failed to pull image: ${image}`,
      [ourAnnotations.importCode]: "ImageNotServed",
    },
  },
  {
    when: "the image came after all",
    seen: facts({
      claim: aStartedClaim({ annotations: { ...fromNode, [ourAnnotations.importCode]: "ImageNotServed" } }),
      pod: aNodePod(importer(isRunning), server(isRunning)),
    }),
    steps: [patch],
    says: { [annotations.runningCondition]: "true", [ourAnnotations.importCode]: null },
  },
  {
    when: "upstream's importer waited in vain, for the tenth time: it is never given up",
    seen: facts({
      claim: aStartedClaim({ annotations: fromNode }),
      pod: aPod({ state: terminated(1, "Timeout waiting for file /shared/ready"), restarts: 9 }),
    }),
    steps: [patch, "tell Warning ErrImportFailed"],
    says: { [ourAnnotations.importCode]: "ImageNotServed" },
  },
  {
    when: "the importer is done, the server not yet",
    seen: facts({
      claim: aStartedClaim({ annotations: fromNode }),
      pod: aNodePod(importer(terminated(0, '{"message":"Import Complete"}')), server(isRunning)),
    }),
    steps: [patch, "tell Normal ImportSucceeded", remove],
    says: { [annotations.podPhase]: "Succeeded" },
  },
  {
    when: "an ImageStream, done: the pod goes first",
    seen: facts({ claim: heldClaim({ [annotations.podPhase]: "Succeeded" }), pod: aPod() }),
    steps: [remove],
  },
  {
    when: "an ImageStream, done, its pod gone",
    seen: facts({ claim: heldClaim({ [annotations.podPhase]: "Succeeded" }) }),
    steps: [patch],
  },
  {
    when: "an ImageStream's claim deleted while its pod is there",
    seen: facts({ claim: heldClaim({}, goingAt), pod: aPod() }),
    steps: [remove],
  },
  {
    when: "an ImageStream's claim deleted, its pod gone",
    seen: facts({ claim: heldClaim({}, goingAt) }),
    steps: [patch],
  },
  {
    when: "a held claim deleted that is no import any more",
    seen: facts({ claim: heldClaim({ [annotations.importSource]: "vddk" }, goingAt) }),
    steps: [patch],
  },
  {
    when: "another claim deleted",
    seen: facts({
      claim: { ...aStartedClaim(), metadata: { ...aStartedClaim().metadata, deletionTimestamp: goingAt } },
    }),
    steps: [],
  },
];
test.each(rows)("$when", judge);

describe("the finalizer of an ImageStream", () => {
  const finalizersWritten = (claim: ReturnType<typeof aClaim>) => {
    const plan = decideImport(facts({ claim }), options, noonMs);
    return plan.steps.flatMap((step) =>
      step.do === "patch" ? [(step.body as { metadata?: { finalizers?: string[] } }).metadata?.finalizers] : [],
    );
  };
  const stream = (more: Record<string, string> = {}) => aClaim({ annotations: { ...fromStream, ...more } });

  test("comes with the pod, and keeps the others", () => {
    const claim = stream();
    const withOne = { ...claim, metadata: { ...claim.metadata, finalizers: ["kubernetes.io/pvc-protection"] } };
    expect(finalizersWritten(withOne)).toEqual([["kubernetes.io/pvc-protection", "cdi.kubevirt.io/importImageStream"]]);
  });
  test("does not come where the pod is to be kept, nor for an image by its address", () => {
    expect(finalizersWritten(stream({ [annotations.podRetainAfterCompletion]: "true" }))).toEqual([undefined]);
    expect(finalizersWritten(aClaim({ annotations: fromNode }))).toEqual([undefined]);
  });
  test("goes alone", () => {
    expect(finalizersWritten(heldClaim({}, goingAt))).toEqual([["kubernetes.io/pvc-protection"]]);
  });
});
