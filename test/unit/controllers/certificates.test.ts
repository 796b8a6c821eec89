// Certificates over four days of a moved clock: every one good at all times, new authorities trusted before they are used.
import { expect, test } from "vitest";
import type { ConfigMap, KubeSecret } from "../../../src/api/core.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { certificatesController, certificatesKey } from "../../../src/controllers/certificates/index.ts";
import { bundleKey, signers, type Signer } from "../../../src/contract/install-names.ts";
import { createApply, type KubeClient } from "../../../src/kube/index.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { bearsNames, certificatesIn, endOf, isSignedBy } from "../../../src/pki/index.ts";
import { startTestServer } from "../../support/embedded-server.ts";

const hour = 3_600_000;
const start = Date.UTC(2030, 0, 1);
const options = {
  cdiNamespace: "cdi",
  importerImage: "i",
  pullPolicy: "IfNotPresent",
  verbosity: 1,
  uploadProxyNames: { dnsNames: ["localhost"], ips: ["127.0.0.1"] },
};

interface State {
  authority: string;
  bundle: string;
  leaf: string | undefined;
}
const pem = (object: KubeObject | undefined): string =>
  Buffer.from((object as KubeSecret).data?.["tls.crt"] ?? "", "base64").toString();

async function stateOf(client: KubeClient, { secret, bundle, leaf }: Signer): Promise<State> {
  const within = { namespace: "cdi" };
  return {
    authority: pem(await client.get({ kind: kinds.secret, ...within, name: secret })),
    bundle:
      ((await client.get({ kind: kinds.configMap, ...within, name: bundle })) as ConfigMap).data?.[bundleKey] ?? "",
    leaf: leaf === undefined ? undefined : pem(await client.get({ kind: kinds.secret, ...within, name: leaf })),
  };
}

test("a bundle seen an hour ago trusts every certificate in use", async ({ onTestFinished }) => {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  const { client } = server;
  const service = { name: "cdi-api", namespace: "cdi" };
  const registered: KubeObject = {
    apiVersion: kinds.apiService.apiVersion,
    kind: kinds.apiService.kind,
    metadata: { name: "v1beta1.upload.cdi.kubevirt.io" },
    spec: {
      group: "upload.cdi.kubevirt.io",
      version: "v1beta1",
      service,
      groupPriorityMinimum: 1000,
      versionPriority: 15,
    },
  };
  await client.create(registered, kinds.apiService);
  let now = start;
  const clock = { ...systemClock, now: () => now };
  const apply = createApply({ client, clock, component: "test" });
  const controller = certificatesController(client, clock, options);
  const all = Object.values(signers) as Signer[];
  const before = new Map<string, State>();
  const authorities = new Set<string>();
  for (let hours = 0; hours < 96; hours += 1) {
    now = start + hours * hour;
    // Bundle and certificates first; the registration follows what is then there.
    for (let round = 0; round < 2; round += 1) {
      const plan = await controller.reconcile(certificatesKey, silentLog);
      await apply.run(plan.steps, silentLog);
    }
    const again = await controller.reconcile(certificatesKey, silentLog);
    expect(again.steps, "a third look finds nothing to do").toEqual([]);
    expect(again.lookAgainInMs).toBeLessThanOrEqual(60_000);
    for (const signer of all) {
      const state = await stateOf(client, signer);
      const earlier = before.get(signer.secret) ?? state;
      authorities.add(state.authority);
      expect(certificatesIn(state.bundle)).toContain(state.authority);
      expect(certificatesIn(state.bundle).every((one) => (endOf(one) ?? 0) > now)).toBe(true);
      expect(endOf(state.authority)).toBeGreaterThan(now + 23 * hour);
      if (state.leaf !== undefined) {
        expect(endOf(state.leaf)).toBeGreaterThan(now + 11 * hour);
        expect(isSignedBy(state.leaf, earlier.bundle), "trusted by those who saw the bundle an hour ago").toBe(true);
      }
      before.set(signer.secret, state);
    }
  }
  expect(authorities.size).toBe(all.length * 4);
  const proxy = await stateOf(client, signers.uploadProxy);
  expect(bearsNames(proxy.leaf ?? "", { dnsNames: ["cdi-uploadproxy.cdi.svc", "localhost"], ips: ["127.0.0.1"] })).toBe(
    true,
  );
  const api = await stateOf(client, signers.api);
  const { spec } = (await client.get({
    kind: kinds.apiService,
    name: registered.metadata.name ?? "",
  })) as KubeObject & {
    spec: { caBundle: string };
  };
  expect(Buffer.from(spec.caBundle, "base64").toString()).toBe(api.bundle);
});
