// The upload proxy in a test: over a store of its own, with its certificates, and tokens as the API server gives them.
import type { Claim } from "../../src/api/core.ts";
import { crdOf } from "../../src/api/crd.ts";
import { cdiConfigKind } from "../../src/api/cdi-config.ts";
import { annotations } from "../../src/api/annotations.ts";
import { kinds } from "../../src/api/kinds.ts";
import { bundleKey, signers } from "../../src/contract/install-names.ts";
import { apiServerIssuer, shortTokenMs, uploadClaims } from "../../src/contract/token.ts";
import { uploadClientName } from "../../src/contract/upload-routes.ts";
import type { KubeClient } from "../../src/kube/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog, type Log } from "../../src/lib/log.ts";
import { lookupIn } from "../../src/lib/lookup.ts";
import { makeSigningKey, signToken, type KeyedCertificate, type SigningKey } from "../../src/pki/index.ts";
import { startUploadProxy, type UploadProxy } from "../../uploadproxy/index.ts";
import { startTestServer } from "./embedded-server.ts";
import type { AtEnd } from "./loop.ts";
import { authorityNow, certificateNow, startStandIn, type StandIn } from "./upload-stand-in.ts";

export interface ProxyUnderTest {
  client: KubeClient;
  proxy: UploadProxy;
  standIn: StandIn;
  url: string;
  /** PEM: who signed the proxy's certificate. */
  ca: string;
  key: SigningKey;
  /** The proxy's own pair as a live view, and how to put another in its place. */
  serving: { texts: string[] };
  issueServing(): Promise<KeyedCertificate>;
  /** Messages the proxy logged so. */
  readonly warnings: readonly string[];
  token(name?: string, more?: { nowMs?: number; claims?: object }): Promise<string>;
  /** Makes the claim, or says other things on it. */
  claim(name: string, said: Record<string, string>): Promise<void>;
}

/** Annotations of a claim whose upload server is ready. */
export const readyTarget = { [annotations.uploadTarget]: "", [annotations.podReady]: "true" };

export async function proxyUnderTest(atEnd: AtEnd): Promise<ProxyUnderTest> {
  const server = await startTestServer();
  atEnd(() => server.close());
  const { client } = server;
  await client.create(crdOf(cdiConfigKind), kinds.crd);
  const [proxyCa, serverCa, clientCa] = (await Promise.all(["proxy", "servers", "clients"].map(authorityNow))) as [
    KeyedCertificate,
    KeyedCertificate,
    KeyedCertificate,
  ];
  const names = { dnsNames: ["localhost"], ips: ["127.0.0.1"] };
  const issueServing = () => certificateNow(proxyCa, "cdi-uploadproxy", "server", names);
  const [own, identity, key] = await Promise.all([
    issueServing(),
    certificateNow(clientCa, uploadClientName, "client"),
    makeSigningKey(),
  ]);
  const dnsNames = ["disk", "other", "tree"].map((name) => `cdi-upload-${name}.default.svc`);
  const standIn = await startStandIn({ authority: serverCa, clientCa: clientCa.certificate, dnsNames });
  atEnd(() => standIn.close());
  const metadata = { namespace: "cdi", name: signers.uploadServer.bundle };
  const bundle = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [bundleKey]: serverCa.certificate } };
  await client.create(bundle, kinds.configMap);
  const serving = { texts: [own.certificate, own.key] };
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message), with: () => log };
  const proxy = await startUploadProxy({
    client,
    namespace: "cdi",
    host: "127.0.0.1",
    port: 0,
    publicKey: key.publicKey,
    serving,
    identity: { texts: [identity.certificate, identity.key] },
    lookup: lookupIn(() => (name) => (name.endsWith(".svc") ? [standIn.address] : undefined)),
    clock: systemClock,
    log,
  });
  atEnd(() => proxy.close());
  return {
    client,
    proxy,
    standIn,
    url: `https://localhost:${proxy.port}`,
    ca: proxyCa.certificate,
    key,
    serving,
    issueServing,
    warnings,
    token: (name = "disk", { nowMs = Date.now(), claims = uploadClaims("default", name) } = {}) =>
      signToken(claims, { privateKey: key.privateKey, issuer: apiServerIssuer, nowMs, lifetimeMs: shortTokenMs }),
    async claim(name, said) {
      const ref = { kind: kinds.claim, namespace: "default", name };
      if (await client.get(ref)) {
        await client.patch(ref, { metadata: { annotations: said } }, { type: "merge" });
        return;
      }
      const claim: Claim = {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { namespace: "default", name, annotations: said },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      };
      await client.create(claim, kinds.claim);
    },
  };
}
