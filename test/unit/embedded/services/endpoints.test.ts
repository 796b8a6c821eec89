// Which addresses stand behind a Service: the pods it selects, ready or not, and the ports they listen on.
import { expect, test } from "vitest";
import type { Pod } from "../../../../src/api/core.ts";
import { namesOf, readyAddresses, subsetsOf, type Service } from "../../../../src/embedded/services/endpoints.ts";

const service = (spec: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name: "web" },
  spec: { selector: { app: "web" }, ports: [{ port: 443, targetPort: 8443 }], ...spec },
});
interface Parts {
  name?: string;
  ip?: string;
  ready?: boolean;
  phase?: "Pending" | "Running" | "Succeeded";
  labels?: Record<string, string>;
  going?: boolean;
}
const aPod = ({ name = "a", ip = "127.64.0.1", ready = true, phase = "Running", labels, going }: Parts = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    namespace: "default",
    name,
    labels: labels ?? { app: "web" },
    ...(going ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
  },
  spec: { containers: [{ name: "c", image: "i", ports: [{ name: "https", containerPort: 9443 }] }] },
  status: { phase, podIP: ip, conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});
const ips = (rows: { ip: string }[] | undefined): string[] => (rows ?? []).map(({ ip }) => ip);

test.each<{ when: string; of?: Service; pods: Pod[]; ready: string[]; not: string[]; port?: number }>([
  { when: "no pods", pods: [], ready: [], not: [] },
  { when: "one that is ready", pods: [aPod()], ready: ["127.64.0.1"], not: [], port: 8443 },
  { when: "one that is not", pods: [aPod({ ready: false })], ready: [], not: ["127.64.0.1"], port: 8443 },
  {
    when: "both, by name",
    pods: [aPod({ name: "b", ip: "127.64.0.2" }), aPod(), aPod({ name: "c", ip: "127.64.0.3", ready: false })],
    ready: ["127.64.0.1", "127.64.0.2"],
    not: ["127.64.0.3"],
    port: 8443,
  },
  { when: "another's pod", pods: [aPod({ labels: { app: "other" } })], ready: [], not: [] },
  { when: "one that has ended", pods: [aPod({ phase: "Succeeded", ready: false })], ready: [], not: [] },
  { when: "one that is being deleted", pods: [aPod({ going: true })], ready: [], not: [] },
  {
    when: "a port by name",
    of: service({ ports: [{ port: 443, targetPort: "https" }] }),
    pods: [aPod()],
    ready: ["127.64.0.1"],
    not: [],
    port: 9443,
  },
])("$when", ({ of = service(), pods, ready, not, port }) => {
  const subsets = subsetsOf(of, pods);
  expect(readyAddresses({ apiVersion: "v1", kind: "Endpoints", metadata: {}, subsets })).toEqual(ready);
  expect(ips(subsets[0]?.notReadyAddresses)).toEqual(not);
  expect(subsets[0]?.ports?.[0]?.port).toBe(port);
});

test("a Service is known by the names clusters know it by", () =>
  expect(namesOf(service())).toEqual(["web.default.svc", "web.default.svc.cluster.local", "web.default"]));
