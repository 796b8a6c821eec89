// Whether a claim's upload server takes bytes now (interfaces/upload.md sections 2.3 and 2.4): a pure question of the claim,
// and the wait until it can be answered.
import { annotations } from "../src/api/annotations.ts";
import { cdiGroup } from "../src/api/kinds.ts";
import type { Claim } from "../src/api/core.ts";
import type { Clock } from "../src/lib/clock.ts";
import { seconds } from "../src/lib/duration.ts";

export type Readiness = { ready: true; contentType: string | undefined } | { refused: string } | { wait: string };

/** @param claim the one that is filled: a populator's own, where there is one */
export function readinessOf(name: string, claim: Claim | undefined): Readiness {
  if (!claim) return { refused: `rejecting Upload Request for PVC ${name} that doesn't exist` };
  const said = claim.metadata.annotations ?? {};
  if (said[annotations.uploadTarget] === undefined) return { refused: `PVC ${name} is not an upload target` };
  if (said[annotations.podPhase] === "Succeeded")
    return { refused: `rejecting Upload Request for PVC ${name} that already finished uploading` };
  if (!isTrue(said[annotations.podReady])) return { wait: timeoutText };
  const contentType = said[annotations.contentType];
  if (contentType !== undefined && !["", "kubevirt", "archive"].includes(contentType))
    return { refused: `rejecting upload request for PVC ${name} - upload content-type ${contentType} is invalid` };
  return { ready: true, contentType };
}

export const timeoutText = "context deadline exceeded";

const isTrue = (text: string | undefined): boolean => ["1", "t", "T", "TRUE", "true", "True"].includes(text ?? "");

/** @returns the name of the claim a populator fills in its place; "" before there is one; undefined without populator */
export function primeOf(claim: Claim): string | undefined {
  const ref = claim.spec.dataSourceRef as { apiGroup?: string; kind?: string } | undefined;
  if (ref?.kind !== "VolumeUploadSource" || ref.apiGroup !== cdiGroup) return undefined;
  return claim.metadata.annotations?.[annotations.populatorPrime] ?? "";
}

export interface ReadyTarget {
  /** Of the claim that is filled. */
  claim: string;
  contentType: string | undefined;
}

const everyMs = seconds(1);
const limitMs = seconds(10);

/** Looks at once, then each second for ten. @throws the look-up's error, the signal's reason */
export async function untilReady(
  name: string,
  read: (claim: string) => Promise<Claim | undefined>,
  clock: Clock,
  signal: AbortSignal,
): Promise<ReadyTarget | { refused: string }> {
  const startMs = clock.now();
  for (;;) {
    const { claim, is } = await look(name, read);
    if ("refused" in is) return is;
    if ("ready" in is) return { claim, contentType: is.contentType };
    if (clock.now() - startMs >= limitMs) return { refused: is.wait };
    await clock.sleep(everyMs, signal);
  }
}

async function look(
  name: string,
  read: (claim: string) => Promise<Claim | undefined>,
): Promise<{ claim: string; is: Readiness }> {
  const target = await read(name);
  const prime = target && primeOf(target);
  if (target === undefined || prime === undefined) return { claim: name, is: readinessOf(name, target) };
  if (target.metadata.annotations?.[annotations.podPhase] === "Succeeded")
    return { claim: name, is: readinessOf(name, { ...target, metadata: uploading(target) }) };
  if (prime === "")
    return { claim: name, is: { wait: `rejecting Upload Request for PVC ${name}, its PVC Prime wasn't created yet` } };
  return { claim: prime, is: readinessOf(prime, await read(prime)) };
}

/** A populator's target bears no mark of its own; its end is told as any target's. */
const uploading = ({ metadata }: Claim): Claim["metadata"] => ({
  ...metadata,
  annotations: { ...metadata.annotations, [annotations.uploadTarget]: "" },
});
