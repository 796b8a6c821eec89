// The certificate of one upload pod, signed by the installation's authority for upload servers.
import type { ConfigMap, KubeSecret } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { bundleKey, signers } from "../../contract/install-names.ts";
import type { KubeClient } from "../../kube/index.ts";
import { defaultLifetimes, endOf, issueCertificate } from "../../pki/index.ts";
import { pairIn } from "../certificates/observe.ts";
import type { ServerIdentity } from "./objects.ts";

const { server, client: ofClients } = defaultLifetimes;

/** How long an upload pod may live: the shorter of what is left of either side's certificate when it is renewed, ms. */
export const podLifetimeMs = Math.min(
  server.durationMs - server.renewBeforeMs,
  ofClients.durationMs - ofClients.renewBeforeMs,
);

/** @returns undefined while the authorities are not there yet */
export async function issueServerIdentity(
  client: KubeClient,
  cdiNamespace: string,
  service: { name: string; namespace: string },
  nowMs: number,
): Promise<ServerIdentity | undefined> {
  const [secret, clients] = await Promise.all([
    client.get({ kind: kinds.secret, namespace: cdiNamespace, name: signers.uploadServer.secret }),
    client.get({ kind: kinds.configMap, namespace: cdiNamespace, name: signers.uploadClient.bundle }),
  ]);
  const authority = pairIn(secret as KubeSecret | undefined);
  const clientCa = (clients as ConfigMap | undefined)?.data?.[bundleKey];
  if (!authority || !clientCa) return undefined;
  const { name, namespace } = service;
  const end = nowMs + server.durationMs;
  const pair = await issueCertificate(authority, {
    commonName: name,
    dnsNames: [name, `${name}.${namespace}`, `${name}.${namespace}.svc`],
    usages: ["server"],
    notBefore: nowMs - 60_000,
    notAfter: Math.min(end, endOf(authority.certificate) ?? end),
  });
  return { ...pair, clientCa };
}
