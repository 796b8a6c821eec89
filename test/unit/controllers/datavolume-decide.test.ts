import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { Volume } from "../../../src/api/core.ts";
import type { DataVolume } from "../../../src/api/data-volume.ts";
import {
  decideClaimRefused,
  decideDataVolume,
  type DecideOptions,
} from "../../../src/controllers/datavolume/parts/decide.ts";
import type { DataVolumeFacts } from "../../../src/controllers/datavolume/parts/observe.ts";
import { computeStatus } from "../../../src/controllers/datavolume/parts/status.ts";
import { shownStep, type Step } from "../../../src/kube/index.ts";
import { aClaim, aConfig, aDataVolume, aDefaultClass, aProfile, aStorageClass } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";

const options: DecideOptions = {
  controller: { cdiNamespace: "cdi", importerImage: "importer:test", pullPolicy: "IfNotPresent", verbosity: 1 },
  dropped: new Set(),
  nowMs: noonMs,
};
const storage: DataVolumeFacts["storage"] = {
  config: aConfig(),
  classes: [aDefaultClass("local")],
  profiles: [aProfile("local", [{ accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem" }])],
  volumes: [],
};
const facts = (parts: Partial<DataVolumeFacts> = {}): DataVolumeFacts => ({
  dataVolume: aDataVolume(),
  storage,
  reading: undefined,
  ...parts,
});

const told = (events: readonly Step[]) =>
  events.map((step) => (step.do === "tell" ? `${step.type} ${step.reason} ${step.message}` : step.do));

describe("what is done", () => {
  const statusStep = "patch DataVolume default/disk status";
  const claimStep = "patch PersistentVolumeClaim default/disk";
  const settled = computeStatus(
    { dataVolume: aDataVolume(), claim: aClaim(), needsWork: true, waitsForConsumer: false, reading: undefined },
    noonMs,
  ).status;
  const rows: { when: string; seen: DataVolumeFacts | undefined; steps: string[] }[] = [
    { when: "gone", seen: undefined, steps: [] },
    {
      when: "another source",
      seen: facts({ dataVolume: aDataVolume({ spec: { source: { pvc: { namespace: "a", name: "b" } } } }) }),
      steps: [],
    },
    {
      when: "being deleted",
      seen: facts({
        dataVolume: aDataVolume({ metadata: { name: "disk", deletionTimestamp: "2026-01-02T03:00:00Z" } }),
      }),
      steps: [],
    },
    {
      when: "on the populator road",
      seen: facts({ dataVolume: aDataVolume({ annotations: { [annotations.usePopulator]: "true" } }) }),
      steps: [],
    },
    {
      when: "new",
      seen: facts({
        dataVolume: {
          ...aDataVolume(),
          metadata: { name: "disk", namespace: "default", uid: "u", resourceVersion: "100" },
        },
      }),
      steps: [
        "patch DataVolume default/disk",
        "create PersistentVolumeClaim default/disk",
        statusStep,
        "tell Normal Pending",
      ],
    },
    {
      when: "waiting for a claim that comes filled",
      seen: facts({ dataVolume: aDataVolume({ annotations: { [annotations.prePopulated]: "disk" } }) }),
      steps: [statusStep, "tell Normal NotFound"],
    },
    {
      when: "claim deleted under it",
      seen: facts({ dataVolume: aDataVolume({ status: { ...settled, phase: "Succeeded" } }) }),
      steps: [statusStep, "tell Normal Pending", "create PersistentVolumeClaim default/disk"],
    },
    {
      when: "no class to choose from",
      seen: facts({ storage: { ...storage, classes: [] } }),
      steps: [statusStep, "tell Warning ErrClaimNotValid", "tell Normal ErrClaimNotValid"],
    },
    { when: "nothing new", seen: facts({ dataVolume: aDataVolume({ status: settled }), claim: aClaim() }), steps: [] },
    {
      when: "claim being deleted",
      seen: facts({ claim: aClaim({ metadata: { name: "disk", deletionTimestamp: "2026-01-02T03:00:00Z" } }) }),
      steps: ["tell Warning ErrResourceMarkedForDeletion"],
    },
    {
      when: "somebody else's claim",
      seen: facts({
        claim: aClaim({ metadata: { name: "disk", namespace: "default", annotations: {}, ownerReferences: [] } }),
      }),
      steps: ["tell Warning ErrResourceExists"],
    },
    {
      when: "a claim filled for it",
      seen: facts({
        claim: aClaim({
          metadata: {
            name: "disk",
            namespace: "default",
            annotations: { [annotations.populatedFor]: "disk" },
            ownerReferences: [],
          },
        }),
      }),
      steps: [
        claimStep,
        "patch DataVolume default/disk",
        statusStep,
        "tell Normal ImportSucceeded",
        "tell Normal Bound",
      ],
    },
    {
      when: "a claim it may adopt",
      seen: facts({
        dataVolume: aDataVolume({ annotations: { [annotations.allowClaimAdoption]: "true" } }),
        claim: aClaim({ metadata: { name: "disk", namespace: "default", annotations: {}, ownerReferences: [] } }),
      }),
      steps: [claimStep, statusStep, "tell Normal ImportSucceeded", "tell Normal Bound"],
    },
    {
      when: "asked to try again",
      seen: facts({
        dataVolume: aDataVolume({ annotations: { [annotations.importRetry]: "1" }, status: settled }),
        claim: aClaim(),
      }),
      steps: [claimStep],
    },
  ];
  test.each(rows)("$when", ({ seen, steps }) =>
    expect(decideDataVolume(seen, options).steps.map(shownStep)).toEqual(steps),
  );

  test("a new claim under a DataVolume that had succeeded: the phase is taken back first", () => {
    const plan = decideDataVolume(
      facts({ dataVolume: aDataVolume({ status: { ...settled, phase: "Succeeded" } }) }),
      options,
    );
    expect(JSON.stringify(plan.steps[0])).toContain('"phase":"Pending"');
  });

  test.each([
    { when: "as old as the success: kept as it is", born: "2026-01-02T03:00:00Z", phase: undefined },
    { when: "younger: it is to be filled", born: "2026-01-02T04:00:01Z", phase: "PVCBound" },
  ])("a Succeeded DataVolume whose claim has lost its annotations, $when", ({ born, phase }) => {
    const succeeded = computeStatus(
      {
        dataVolume: aDataVolume(),
        claim: aClaim({ annotations: { [annotations.podPhase]: "Succeeded" } }),
        needsWork: false,
        waitsForConsumer: false,
        reading: undefined,
      },
      Date.parse("2026-01-02T04:00:00Z"),
    ).status;
    const { ownerReferences } = aClaim().metadata;
    const claim = aClaim({
      metadata: {
        name: "disk",
        namespace: "default",
        annotations: {},
        creationTimestamp: born,
        ...(ownerReferences ? { ownerReferences } : {}),
      },
    });
    const plan = decideDataVolume(facts({ dataVolume: aDataVolume({ status: succeeded }), claim }), options);
    const body = plan.steps.find((one) => one.do === "patch");
    const written = (body?.do === "patch" ? body.body : {}) as { status?: { phase?: string } };
    expect(written.status?.phase).toBe(phase);
  });

  test("the claim waits for its consumer where the class and the gate say so", () => {
    const waiting = {
      ...storage,
      config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }),
      classes: [aStorageClass("local", { wffc: true })],
    };
    const plan = decideDataVolume(facts({ storage: waiting, claim: aClaim({ phase: "Pending" }) }), options);
    expect(JSON.stringify(plan.steps[0])).toContain('"phase":"WaitForFirstConsumer"');
  });
  describe("a static volume", () => {
    const volume = (name: string, claimRef?: object, more: object = {}): Volume => ({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name },
      spec: {
        capacity: { storage: "10Gi" },
        accessModes: ["ReadWriteOnce"],
        storageClassName: "local",
        ...claimRef,
        ...more,
      },
      status: { phase: "Available" },
    });
    const mine = { claimRef: { namespace: "default", name: "disk" } };
    const asked = aDataVolume({ annotations: { [annotations.checkStaticVolume]: "" } });
    const made = (volumes: Volume[], dataVolume = asked): Record<string, string> => {
      const plan = decideDataVolume(facts({ dataVolume, storage: { ...storage, volumes } }), options);
      const create = plan.steps.find((one) => one.do === "create");
      return (create?.do === "create" ? create.object.metadata.annotations : undefined) ?? {};
    };

    test.each([
      { when: "names the claim", volumes: [volume("a", mine), volume("b", mine)], names: '["a","b"]' },
      { when: "names nobody", volumes: [volume("a")], names: undefined },
      { when: "is small", volumes: [volume("a", mine, { capacity: { storage: "1Mi" } })], names: undefined },
      { when: "is of another class", volumes: [volume("a", mine, { storageClassName: "other" })], names: undefined },
      { when: "is of another mode", volumes: [volume("a", mine, { volumeMode: "Block" })], names: undefined },
      { when: "is taken", volumes: [{ ...volume("a", mine), status: { phase: "Bound" as const } }], names: undefined },
    ])("one that $when", ({ volumes, names }) => {
      const found = made(volumes);
      expect(found[annotations.persistentVolumeList]).toBe(names);
      expect(found[annotations.importEndpoint] === undefined).toBe(names !== undefined);
    });

    test("is not looked for where nobody asks", () => {
      expect(made([volume("a", mine)], aDataVolume())[annotations.persistentVolumeList]).toBeUndefined();
    });

    const list = (names: string) => ({ [annotations.persistentVolumeList]: names });
    const bound = (names: string) => {
      const claim = aClaim({ annotations: list(names) });
      return { ...claim, spec: { ...claim.spec, volumeName: "a" } };
    };
    test("among those the claim was made for: it needs no filling", () => {
      const plan = decideDataVolume(facts({ dataVolume: asked, claim: bound('["b","a"]') }), options);
      expect(plan.steps).toMatchObject([
        { body: { metadata: { annotations: { ...list(null as never), [annotations.populatedFor]: "disk" } } } },
      ]);
    });
    test.each(['["b"]', "spoilt", "7"])("not among those the claim was made for, %s: the claim goes", (names) => {
      const plan = decideDataVolume(facts({ dataVolume: asked, claim: bound(names) }), options);
      expect(plan.steps).toMatchObject([
        { do: "tell", type: "Warning", message: "DataVolume bound to unexpected PV a" },
        { do: "delete" },
      ]);
    });
  });
  test("text that is neither true nor false is an error", () => {
    const dataVolume = aDataVolume({ annotations: { [annotations.usePopulator]: "maybe" } });
    expect(() => decideDataVolume(facts({ dataVolume }), options)).toThrow("must be true or false");
  });
  test("quota is told in the server's words", () => {
    const plan = decideClaimRefused(facts(), "forbidden: exceeded quota: small", options);
    expect(told(plan.steps)).toEqual([
      "patch",
      "Warning ErrExceededQuota forbidden: exceeded quota: small",
      "Normal ErrExceededQuota forbidden: exceeded quota: small",
      expect.stringMatching(/^Warning QuotaExceeded A quota is used up/),
    ]);
    expect(plan.lookAgainInMs).toBe(10_000);
  });

  test("the claim bears what the lifecycle says", () => {
    const dataVolume: DataVolume = aDataVolume({
      labels: { team: "a" },
      annotations: { mine: "yes", [annotations.populatedFor]: "x" },
      spec: {
        source: {
          http: {
            url: "https://a/b",
            secretRef: "keys",
            certConfigMap: "ca",
            checksum: "md5:1",
            extraHeaders: ["A: 1"],
            secretExtraHeaders: ["s"],
            insecureSkipVerify: true,
          },
        },
        preallocation: true,
        priorityClassName: "high",
        serviceAccountName: "sa",
      },
    });
    const step = decideDataVolume(facts({ dataVolume }), options).steps.find((one) => one.do === "create");
    expect(step?.do === "create" && step.object.metadata).toEqual({
      name: "disk",
      namespace: "default",
      labels: {
        app: "containerized-data-importer",
        "app.kubernetes.io/component": "storage",
        "app.kubernetes.io/managed-by": "cdi-controller",
        "alerts.k8s.io/KubePersistentVolumeFillingUp": "disabled",
        team: "a",
      },
      annotations: {
        mine: "yes",
        [annotations.usePopulator]: "false",
        [annotations.podRestarts]: "0",
        [annotations.contentType]: "kubevirt",
        [annotations.preallocationRequested]: "true",
        [annotations.createdForDataVolume]: dataVolume.metadata.uid,
        [annotations.podPriorityClassName]: "high",
        [annotations.podServiceAccountName]: "sa",
        [annotations.importSource]: "http",
        [annotations.importEndpoint]: "https://a/b",
        [annotations.importSecretName]: "keys",
        [annotations.importCertConfigMap]: "ca",
        [annotations.importChecksum]: "md5:1",
        [annotations.importInsecureSkipVerify]: "true",
        "cdi.kubevirt.io/storage.import.extraHeaders.0": "A: 1",
        "cdi.kubevirt.io/storage.import.secretExtraHeaders.0": "s",
      },
      ownerReferences: [
        expect.objectContaining({ kind: "DataVolume", name: "disk", controller: true, blockOwnerDeletion: true }),
      ],
    });
  });
  test("blank is source none", () => {
    const step = decideDataVolume(
      facts({ dataVolume: aDataVolume({ spec: { source: { blank: {} } } }) }),
      options,
    ).steps.find((one) => one.do === "create");
    expect(step?.do === "create" && step.object.metadata.annotations).toMatchObject({
      [annotations.importSource]: "none",
    });
  });
});
