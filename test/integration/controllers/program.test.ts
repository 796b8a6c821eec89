// The controller program outside a cluster: KUBECONFIG in, SIGTERM out, and the work done in between.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { crdOf } from "../../../src/api/crd.ts";
import { declaredKinds } from "../../../src/api/declared-kinds.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { startTestServer } from "../../support/embedded-server.ts";
import { aConfig, aDataVolume, aDefaultClass } from "../../support/objects.ts";

const program = join(import.meta.dirname, "../../../src/programs/controller.ts");

test("it makes a claim and a pod, and ends with 0 when asked to", async () => {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  for (const kind of declaredKinds) await server.client.create(crdOf(kind), kinds.crd);
  await server.client.create(aDefaultClass(), kinds.storageClass);
  await server.client.create(aConfig(), kinds.cdiConfig);
  const env = {
    ...process.env,
    KUBECONFIG: server.kubeconfigFile,
    IMPORTER_IMAGE: "importer:test",
    INSTALLER_PART_OF_LABEL: "testing",
  };
  const child = spawn(process.execPath, [program, "-v=3"], { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  onTestFinished(() => void child.kill("SIGKILL"));
  const wanted = aDataVolume({
    name: "disk",
    spec: { pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
  });
  await server.client.create({ ...wanted, metadata: { name: "disk", namespace: "default" } }, kinds.dataVolume);
  const pod = { kind: kinds.pod, namespace: "default", name: "importer-disk" };
  const endMs = Date.now() + 20_000;
  while (!(await server.client.get(pod)) && Date.now() < endMs) await systemClock.sleep(20);
  const made = await server.client.get(pod);
  expect(made?.metadata.labels, said).toMatchObject({ "app.kubernetes.io/part-of": "testing" });
  child.kill("SIGTERM");
  expect(await once(child, "exit"), said).toEqual([0, null]);
});

test("it says which setting is missing", async () => {
  const env = { PATH: process.env.PATH, KUBECONFIG: "/nonexistent" };
  const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  expect(await once(child, "close")).toEqual([1, null]);
  expect(said).toContain("IMPORTER_IMAGE is not set");
});
