// status.transfer and status.progress: what the importer last said, rounded, and left alone while nothing moves.
import { annotations } from "../../../api/annotations.ts";
import type { Claim } from "../../../api/core.ts";
import type { Transfer } from "../../../api/data-volume.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import { FAULTS } from "../../../lib/faults.ts";
import { isSame } from "../../../kube/index.ts";
import { faultCodeOf } from "../../parts/fault-of-claim.ts";
import { ourAnnotations } from "../../parts/our-annotations.ts";
import type { Reading } from "../../parts/scrape.ts";

export interface TransferFacts {
  claim: Claim;
  phase: DataVolumePhase;
  before: Transfer | undefined;
  reading: Reading | undefined;
}

const mebibyte = 1024 * 1024;

/** @returns undefined before the import has begun */
export function transferOf({ claim, phase, before, reading }: TransferFacts): Transfer | undefined {
  const said = claim.metadata.annotations ?? {};
  if (said[annotations.importPodName] === undefined) return undefined;
  const failures = Number(said[ourAnnotations.importAttempt] ?? 0) || 0;
  const running = said[annotations.runningCondition] === "true";
  const code = faultCodeOf(claim);
  const moved =
    phase === "Succeeded" ? finished(before, reading) : movement(before, running ? reading : undefined, running);
  return {
    ...(code && !running ? stoppedIn(moved, said[ourAnnotations.importStage]) : moved),
    // A finished import is not counted anew: its failures were cleared from the claim.
    attempt: phase === "Succeeded" ? (before?.attempt ?? 1) : Math.max(1, running ? failures + 1 : failures),
    ...(code ? { code, remedy: FAULTS[code].remedy } : {}),
  };
}

type Movement = Omit<Transfer, "attempt" | "code" | "remedy">;

const withoutFault = (before: Transfer | undefined): Movement => {
  const { attempt: _attempt, code: _code, remedy: _remedy, ...moved } = before ?? {};
  return moved;
};

function movement(before: Transfer | undefined, reading: Reading | undefined, running: boolean): Movement {
  const last = withoutFault(before);
  if (!reading) {
    if (running) return last;
    const { bytesPerSecond: _rate, etaSeconds: _eta, ...still } = last;
    return still;
  }
  const next = rounded(reading);
  const { bytesPerSecond: _nextRate, etaSeconds: _nextEta, ...moving } = next;
  const { bytesPerSecond: _lastRate, etaSeconds: _lastEta, ...stood } = last;
  const stands = isSame(moving, stood);
  return stands ? last : next;
}

/** Where it failed, in the importer's own words; counts of another stage tell nothing then. */
function stoppedIn(moved: Movement, stage: string | undefined): Movement {
  if (stage === undefined || moved.stage === stage) return moved;
  return { stage };
}

function finished(before: Transfer | undefined, reading: Reading | undefined): Movement {
  const { bytesPerSecond: _rate, etaSeconds: _eta, ...last } = reading ? rounded(reading) : withoutFault(before);
  return {
    ...last,
    ...(last.stageCount === undefined ? {} : { stageIndex: last.stageCount }),
    ...(last.bytesTotal === undefined ? {} : { bytesDone: last.bytesTotal }),
  };
}

/** Bytes in whole MiB unless at the end, rates in two digits: small enough steps, no noise. */
function rounded(reading: Reading): Movement {
  const { stage, stageIndex, stageCount, bytesDone, bytesTotal, bytesPerSecond, resumedFromBytes } = reading;
  const done =
    bytesDone === undefined || bytesDone === bytesTotal ? bytesDone : Math.floor(bytesDone / mebibyte) * mebibyte;
  const rate = bytesPerSecond === undefined ? undefined : Math.round(Number(bytesPerSecond.toPrecision(2)));
  const left = bytesTotal === undefined || done === undefined ? undefined : bytesTotal - done;
  const eta = rate && left !== undefined ? Math.ceil(left / rate) : undefined;
  const rows = Object.entries({
    stage,
    // People count from 1.
    stageIndex: stageIndex === undefined ? undefined : stageIndex + 1,
    stageCount,
    bytesDone: done,
    bytesTotal,
    bytesPerSecond: rate,
    etaSeconds: eta,
    resumedFromBytes,
  });
  return Object.fromEntries(rows.filter(([, value]) => value !== undefined)) as Movement;
}

/**
 * "NN.NN%", "N/A" while unknown, "100.0%" at the end and never before. It never falls while a claim is being filled: what an
 * attempt begins anew shows in `transfer`.
 */
export function progressOf({
  claim,
  phase,
  before,
  reading,
}: Omit<TransferFacts, "before"> & { before: string | undefined }): string {
  if (phase === "Succeeded") return "100.0%";
  const started = claim.metadata.annotations?.[annotations.importPodName] !== undefined;
  const last = started && before !== undefined && !before.startsWith("100") ? before : "N/A";
  if (reading?.percent === undefined) return last;
  const text = `${reading.percent.toFixed(2)}%`;
  return text.startsWith("100") || Number.parseFloat(text) < Number.parseFloat(last) ? last : text;
}
