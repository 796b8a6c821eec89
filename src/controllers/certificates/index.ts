// Keeps the installation's authorities, bundles and certificates: makes what is missing, renews what nears its end. Until an
// operator does it (docs/adr/0022), the leading controller is the only one that signs.
import type { Key } from "../../api/meta.ts";
import { services, signers, type Signer } from "../../contract/install-names.ts";
import { uploadClientName } from "../../contract/upload-routes.ts";
import type { Controller, KubeClient, Step } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import {
  bundleWith,
  defaultLifetimes,
  endOf,
  issueCertificate,
  makeAuthority,
  type KeyedCertificate,
} from "../../pki/index.ts";
import type { ControllerOptions } from "../options.ts";
import { decideCertificates, leafLifetimeOf, type LeafNames } from "./decide.ts";
import { bundleConfigMap, caBundleOf, caBundleStep, pairSecret, written } from "./objects.ts";
import { observeCertificates, type CertificateFacts, type SignerFacts, type SignerName } from "./observe.ts";

/** The one key. */
export const certificatesKey: Key = { name: "certificates" };

export function certificatesController(client: KubeClient, clock: Clock, options: ControllerOptions): Controller {
  const namespace = options.cdiNamespace;
  const namesOf = (signer: SignerName): LeafNames => namesFor(signer, options);
  return {
    name: "certificates",
    watches: [],
    async reconcile() {
      const seen = await observeCertificates(client, namespace);
      const { work, nextMs } = decideCertificates(seen, namesOf, clock.now());
      const steps: Step[] = [];
      for (const facts of seen.signers) {
        const makes = work.filter(({ signer }) => signer === facts.name).map(({ make }) => make);
        if (makes.length > 0) steps.push(...(await stepsFor(facts, makes, namesOf(facts.name), namespace, clock)));
      }
      return { steps: [...steps, ...registration(seen, clock.now())], lookAgainInMs: steps.length > 0 ? 0 : nextMs };
    },
  };
}

function namesFor(signer: SignerName, { cdiNamespace, uploadProxyNames }: ControllerOptions): LeafNames {
  const inCluster = (service: string): string[] => [
    service,
    `${service}.${cdiNamespace}`,
    `${service}.${cdiNamespace}.svc`,
  ];
  if (signer === "api") return { dnsNames: inCluster(services.api), ips: [] };
  if (signer !== "uploadProxy") return { dnsNames: [], ips: [] };
  const { dnsNames = [], ips = [] } = uploadProxyNames ?? {};
  return { dnsNames: [...inCluster(services.uploadProxy), ...dnsNames], ips };
}

async function stepsFor(
  { name, authority, bundle, leaf, has }: SignerFacts,
  makes: readonly string[],
  names: LeafNames,
  namespace: string,
  clock: Clock,
): Promise<Step[]> {
  const signer: Signer = signers[name];
  const now = clock.now();
  const steps: Step[] = [];
  const fresh = makes.includes("authority")
    ? await makeAuthority(`${signer.secret}@${Math.floor(now / 1000)}`, defaultLifetimes.ca.durationMs, clock)
    : undefined;
  const current = fresh ?? authority;
  if (!current) return [];
  // Trusted first, in use after.
  const trusted = bundleWith(current.certificate, bundle, now);
  if (trusted !== bundle) steps.push(written(has.bundle, bundleConfigMap(namespace, signer.bundle, trusted)));
  if (fresh) steps.push(written(has.secret, pairSecret(namespace, signer.secret, fresh)));
  if (makes.includes("leaf") && signer.leaf !== undefined) {
    const issued = await issueLeaf(name, signingFor(authority, current, leaf !== undefined, now), names, now);
    steps.push(written(has.leaf, pairSecret(namespace, signer.leaf, issued)));
  }
  return steps;
}

/** While others may not have seen the new authority yet, the one before it signs once more, if it lasts long enough. */
function signingFor(
  before: KeyedCertificate | undefined,
  current: KeyedCertificate,
  renews: boolean,
  nowMs: number,
): KeyedCertificate {
  const enough = (endOf(before?.certificate) ?? 0) - nowMs > defaultLifetimes.server.durationMs / 2;
  return before && renews && enough ? before : current;
}

async function issueLeaf(
  name: SignerName,
  authority: KeyedCertificate,
  names: LeafNames,
  nowMs: number,
): Promise<KeyedCertificate> {
  const end = nowMs + leafLifetimeOf(name).durationMs;
  const isClient = name === "uploadClient";
  return issueCertificate(authority, {
    commonName: isClient ? uploadClientName : (names.dnsNames[0] ?? name),
    usages: [isClient ? "client" : "server"],
    ...names,
    notBefore: nowMs - 60_000,
    notAfter: Math.min(end, endOf(authority.certificate) ?? end),
  });
}

/** The API server that passes requests on trusts who signs the API's certificate. */
function registration({ signers: seen, apiCaBundle }: CertificateFacts, nowMs: number): Step[] {
  const api = seen.find(({ name }) => name === "api");
  if (apiCaBundle === undefined || !api?.authority || api.bundle === undefined) return [];
  const wanted = bundleWith(api.authority.certificate, api.bundle, nowMs);
  return caBundleOf(wanted) === apiCaBundle ? [] : [caBundleStep(wanted)];
}
