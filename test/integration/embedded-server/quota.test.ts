// ResourceQuota as kubectl makes it, shows it and runs into it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";
import { kubectlFor, kubectls, type Kubectl } from "../../support/kubectls.ts";

const claim = (name: string, size: string): string => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ${name}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: ${size}}}}
`;

describe.each(kubectls)("$name", ({ binary }) => {
  let server: TestServer;
  let kubectl: Kubectl;
  beforeAll(async () => {
    server = await startTestServer();
    kubectl = kubectlFor(binary ?? "", server.kubeconfigFile, server.dir);
  });
  afterAll(() => server.close());

  test("create, get, describe, a refused claim, delete", async ({ skip }) => {
    if (binary === undefined) skip("Debian's kubernetes-client is not unpacked; set CDI_KUBECTL_120");
    await kubectl.run([
      "create",
      "quota",
      "small",
      "--hard=requests.storage=1Gi,persistentvolumeclaims=4,limits.memory=2G",
    ]);
    await kubectl.run(["apply", "-f", "-"], claim("a", "600Mi"));
    const refused = await kubectl.fails(["apply", "-f", "-"], claim("b", "500Mi"));
    expect(refused).toContain(
      'persistentvolumeclaims "b" is forbidden: exceeded quota: small, requested: requests.storage=500Mi, used: requests.storage=600Mi, limited: requests.storage=1Gi',
    );
    const described = (): Promise<string[][]> =>
      kubectl.run(["describe", "quota", "small"]).then((text) => text.split("\n").map((line) => line.split(/\s{2,}/)));
    await expect.poll(described).toContainEqual(["requests.storage", "600Mi", "1Gi"]);
    expect(await described()).toContainEqual(["persistentvolumeclaims", "1", "4"]);
    const shown = await kubectl.run(["get", "quota", "-o", "wide"]);
    expect(shown).toContain("persistentvolumeclaims: 1/4, requests.storage: 600Mi/1Gi");
    expect(shown).toContain("limits.memory: 0/2G");
    await kubectl.run(["delete", "quota", "small"]);
    await kubectl.run(["apply", "-f", "-"], claim("b", "500Mi"));
  });
});
