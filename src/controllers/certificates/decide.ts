// Which authorities and certificates are to be made anew: pure, times and texts in, a list of words out.
import { bearsNames, bundleWith, defaultLifetimes, endOf, isDue, isSignedBy } from "../../pki/index.ts";
import type { CertificateFacts, SignerFacts, SignerName } from "./observe.ts";

/** Names of a serving certificate; none for a client's. */
export interface LeafNames {
  dnsNames: readonly string[];
  ips: readonly string[];
}
export type NamesOf = (signer: SignerName) => LeafNames;

export type Work =
  | { make: "authority"; signer: SignerName }
  | { make: "leaf"; signer: SignerName }
  /** The bundle lacks the authority in use, or still holds one that has ended. */
  | { make: "bundle"; signer: SignerName };

export interface CertificatePlan {
  work: Work[];
  /** When the next certificate falls due, ms from now. */
  nextMs: number;
}

/** Objects that somebody deletes are made again within this time. */
const longestMs = 60_000;

export function decideCertificates(seen: CertificateFacts, namesOf: NamesOf, nowMs: number): CertificatePlan {
  const work = seen.signers.flatMap((one) => workOf(one, namesOf(one.name), nowMs));
  const due = seen.signers.flatMap(({ name, authority, leaf }) => [
    (endOf(authority?.certificate) ?? nowMs) - defaultLifetimes.ca.renewBeforeMs,
    ...(leaf ? [(endOf(leaf.certificate) ?? nowMs) - leafLifetimeOf(name).renewBeforeMs] : []),
  ]);
  const nextMs = Math.min(longestMs, ...due.map((at) => at - nowMs).filter((ms) => ms > 0));
  return { work, nextMs };
}

function workOf({ name, authority, bundle, leaf, has }: SignerFacts, names: LeafNames, nowMs: number): Work[] {
  const work: Work[] = [];
  const renews = isDue(authority?.certificate, defaultLifetimes.ca, nowMs);
  if (renews) work.push({ make: "authority", signer: name });
  else if (authority && bundle !== bundleWith(authority.certificate, bundle, nowMs))
    work.push({ make: "bundle", signer: name });
  if (leafLessSigners.includes(name)) return work;
  const isGood =
    leaf !== undefined &&
    has.leaf &&
    !isDue(leaf.certificate, leafLifetimeOf(name), nowMs) &&
    isSignedBy(leaf.certificate, bundle ?? "") &&
    bearsNames(leaf.certificate, names);
  if (!isGood) work.push({ make: "leaf", signer: name });
  return work;
}

/** Its certificates are made pod by pod (upload/). */
const leafLessSigners: readonly SignerName[] = ["uploadServer"];

export const leafLifetimeOf = (name: SignerName) =>
  name === "uploadClient" ? defaultLifetimes.client : defaultLifetimes.server;
