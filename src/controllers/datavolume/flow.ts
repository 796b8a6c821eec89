// What differs between the sources a DataVolume may be filled from, as a table: one row a source family. Everything else -
// the claim, adoption, phases around the work, conditions - is the same for all (parts/).
import type { Claim } from "../../api/core.ts";
import type { DataVolume, DataVolumeStatus } from "../../api/data-volume.ts";
import type { DataVolumePhase } from "../../api/phases.ts";
import type { Reading } from "../parts/scrape.ts";

export interface PhaseEvent {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
}

export interface PhaseChange {
  phase: DataVolumePhase;
  /** Told when the phase changes to this one. */
  event?: PhaseEvent;
}

export interface ClaimProgress {
  claim: Claim;
  phase: DataVolumePhase;
  before: DataVolumeStatus;
  reading: Reading | undefined;
}

export interface Flow {
  /** Kstatus's reason while the work goes on. */
  readonly reconciling: "Importing" | "Uploading";
  isHandled(dataVolume: DataVolume): boolean;
  /** What is to be done, written on the claim at its birth. */
  claimAnnotations(dataVolume: DataVolume): Record<string, string>;
  /** The phase of a claim that is bound, or whose work is done. `before` is the phase so far. */
  workPhase(claim: Claim, before: DataVolumePhase): PhaseChange;
  succeeded(claim: Claim): PhaseChange;
  /** status.progress and status.transfer. */
  progress(facts: ClaimProgress): Pick<DataVolumeStatus, "progress" | "transfer">;
}
