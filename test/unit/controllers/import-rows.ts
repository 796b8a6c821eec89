// What the tests of the pod side share: facts, the rows of their tables, and how a row is judged.
import { expect } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { decideImport } from "../../../src/controllers/import/decide.ts";
import type { ImportFacts } from "../../../src/controllers/import/observe.ts";
import { shownStep, type Step } from "../../../src/kube/index.ts";
import { aClaim, aConfig, type ClaimParts } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";

export const options = {
  cdiNamespace: "cdi",
  importerImage: "importer:test",
  pullPolicy: "IfNotPresent",
  verbosity: 1,
};
export const facts = (parts: Partial<ImportFacts> & { claim?: ImportFacts["claim"] } = {}): ImportFacts => ({
  claim: aClaim(),
  users: [],
  config: aConfig(),
  overhead: "0.06",
  scratchOverhead: "0.06",
  events: [],
  filled: false,
  delivering: false,
  ...parts,
});
const started: Record<string, string> = {
  [annotations.importPodName]: "importer-disk",
  [annotations.podPhase]: "Running",
};
export const aStartedClaim = (parts: ClaimParts = {}) =>
  aClaim({ ...parts, annotations: { ...started, ...parts.annotations } });

/** The annotations a plan writes on the claim. */
export function written(steps: readonly Step[]): Record<string, string | null> {
  const bodies = steps.flatMap((step) =>
    step.do === "patch" ? [step.body as { metadata?: { annotations?: Record<string, string> } }] : [],
  );
  return Object.assign({}, ...bodies.map((body) => body.metadata?.annotations ?? {})) as Record<string, string | null>;
}

export const patch = "patch PersistentVolumeClaim default/disk";
export const create = "create Pod default/importer-disk";
export const remove = "delete Pod default/importer-disk";

export interface Row {
  when: string;
  seen: ImportFacts;
  steps: string[];
  says?: Record<string, string | null>;
}

/** Decides, and compares the plan with the row. */
export function judge({ seen, steps, says }: Row): void {
  const plan = decideImport(seen, options, noonMs);
  expect(plan.steps.map(shownStep)).toEqual(steps);
  if (says) expect(written(plan.steps)).toMatchObject(says);
  for (const step of plan.steps) {
    if (step.do === "patch") expect(step.resourceVersion).toBe("100");
    if (step.do === "delete") expect(step.uid).not.toBe("");
  }
}
