// An installation as on a cluster: the manifest applied, its programs as pods with their ServiceAccounts' tokens and nothing else,
// the certificates they make for each other, a leader and its heir, one import and one upload through all of it.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { PodSpec } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import { cdiNamespace, importerImage, uploadServerImage, type Embedded } from "../../src/embedded/index.ts";
import { controllerManifest } from "../../src/operator/index.ts";
import { dataVolumeOf, diskOf, history, holdsImage, phaseIs, startCluster } from "../support/cluster.ts";
import { startHttpServer } from "../support/http-server.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";
import { virtctlOver } from "../support/virtctl-client.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(6 * mib, 40, 53);
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);
let cluster: Embedded & { dir: string };
let kubeconfig: string;

const manifest = controllerManifest({
  namespace: cdiNamespace,
  version: "v0.0.0-test",
  images: {
    controller: "cdi-controller:test",
    importer: importerImage,
    apiserver: "cdi-apiserver:test",
    uploadProxy: "cdi-uploadproxy:test",
    uploadServer: uploadServerImage,
  },
  pullPolicy: "IfNotPresent",
  verbosity: 1,
});

const kubectl = (input: string | undefined, ...args: string[]): Promise<string> =>
  runText(process.env["CDI_KUBECTL"] || "kubectl", args, {
    env: { ...process.env, KUBECONFIG: kubeconfig, HOME: cluster.dir },
    ...(input === undefined ? {} : { input }),
  });

interface Deployment extends KubeObject {
  spec: { template: { metadata: { labels: Record<string, string> }; spec: PodSpec } };
}
const deployments = manifest.filter(({ kind }) => kind === "Deployment") as Deployment[];
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";
const whatTheNodeMounts = { name: "kube-api-access", secret: { secretName: "" } };

/** The pod a Deployment would have made, with what a kubelet adds to it: the account's token and the API server's address. */
async function podOf({ metadata, spec }: Deployment, suffix: string): Promise<KubeObject> {
  const { template } = spec;
  const { name = "" } = metadata;
  const account = template.spec.serviceAccountName ?? "";
  const token = (await kubectl(undefined, "create", "token", account, "-n", cdiNamespace)).trim();
  const secretName = `${name}-${suffix}-access`;
  const stringData = { token, namespace: cdiNamespace, "ca.crt": authority() };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: cdiNamespace, name: secretName },
    stringData,
  };
  await cluster.client.create(secret, kinds.secret);
  const { hostname, port } = new URL(cluster.url);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: cdiNamespace, name: `${name}-${suffix}`, labels: template.metadata.labels },
    spec: {
      ...template.spec,
      volumes: [...(template.spec.volumes ?? []), { ...whatTheNodeMounts, secret: { secretName } }],
      containers: template.spec.containers.map((container) => ({
        ...container,
        env: [
          ...(container.env ?? []),
          { name: "KUBERNETES_SERVICE_HOST", value: hostname },
          { name: "KUBERNETES_SERVICE_PORT", value: port },
          // The test's servers are on the loopback.
          { name: "CDI_ADDRESS_POLICY", value: "allow:loopback" },
        ],
        volumeMounts: [
          ...(container.volumeMounts ?? []),
          { name: whatTheNodeMounts.name, mountPath: accountFolder, readOnly: true },
        ],
      })),
    },
  };
}

const authority = (): string => {
  const { clusters } = parse(kubeconfigText) as { clusters: { cluster: Record<string, string> }[] };
  return Buffer.from(clusters[0]?.cluster["certificate-authority-data"] ?? "", "base64").toString();
};
let kubeconfigText = "";

async function start(deployment: Deployment, suffix = "a"): Promise<string> {
  const pod = await podOf(deployment, suffix);
  await cluster.client.create(pod, kinds.pod);
  return pod.metadata.name ?? "";
}
const named = (name: string): Deployment => {
  const found = deployments.find(({ metadata }) => metadata.name === name);
  if (!found) throw new Error(`the manifest has no Deployment ${name}`);
  return found;
};

async function holder(): Promise<string> {
  const ref = { kind: kinds.lease, namespace: cdiNamespace, name: "cdi-controller-leader-election-helper" };
  const lease = (await cluster.client.get(ref)) as { spec?: { holderIdentity?: string } } | undefined;
  return lease?.spec?.holderIdentity ?? "";
}

beforeAll(async () => {
  cluster = await startCluster(atEnd, {
    maxRunning: 8,
    withoutControllers: true,
    withoutControlPlane: true,
    images: {
      "cdi-controller:test": "controller.js",
      "cdi-apiserver:test": "apiserver.js",
      "cdi-uploadproxy:test": "uploadproxy.js",
    },
  });
  kubeconfigText = cluster.kubeconfig;
  kubeconfig = join(cluster.dir, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigText, { mode: 0o600 });
  // Deployments are no kind of an embedded cluster: their pods are made below.
  const others = manifest.filter(({ kind }) => kind !== "Deployment");
  await kubectl(others.map((object) => stringify(object)).join("\n---\n"), "apply", "-f", "-");
  for (const deployment of deployments) await start(deployment);
}, 120_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
}, 60_000);

async function imports(name: string): Promise<void> {
  const server = await startHttpServer({ files: { "/disk.img": image } });
  await cluster.client.create(dataVolumeOf({ name, url: server.url("/disk.img"), size: "16Mi" }), kinds.dataVolume);
  const states = await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded", "Failed"));
  expect(states.at(-1)?.status?.phase).toBe("Succeeded");
  expect(holdsImage((await diskOf(cluster, name)) as Buffer, image)).toBe(true);
}

test("an import", () => imports("imported"), 120_000);

test("CDIConfig is there with its status filled", async () => {
  const said = (): Promise<string> =>
    kubectl(undefined, "get", "cdiconfig", "config", "-o", "jsonpath={.status.filesystemOverhead.global}");
  await expect.poll(said, { timeout: 30_000, interval: 200 }).toBe("0.06");
});

test("an upload by virtctl's calls, whose token comes from the aggregated API", { timeout: 120_000 }, async () => {
  await kubectl(
    undefined,
    "wait",
    "--for=condition=Ready",
    "pod/cdi-uploadproxy-a",
    "-n",
    cdiNamespace,
    "--timeout=60s",
  );
  const [proxy] = (await cluster.client.list(kinds.pod, { namespace: cdiNamespace })).items.filter(({ metadata }) =>
    metadata.name?.startsWith("cdi-uploadproxy"),
  );
  const { podIP = "" } = (proxy?.["status"] ?? {}) as { podIP?: string };
  const override = { spec: { uploadProxyURLOverride: `https://${podIP}:8443` } };
  await cluster.client.patch({ kind: kinds.cdiConfig, name: "config" }, override, { type: "merge" });
  const available = (): Promise<string> =>
    kubectl(
      undefined,
      "get",
      "apiservice",
      "v1beta1.upload.cdi.kubevirt.io",
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Available")].status}',
    );
  await expect.poll(available, { timeout: 60_000, interval: 200 }).toBe("True");
  const path = join(cluster.dir, "upload.img");
  await writeFile(path, image);
  await virtctlOver(cluster.kubeconfig).upload({
    style: "new",
    kind: "dv",
    name: "uploaded",
    path,
    size: "16Mi",
    insecure: true,
    pollMs: 100,
  });
  await history<DataVolume>(cluster, kinds.dataVolume, "uploaded", phaseIs("Succeeded"));
  expect(holdsImage((await diskOf(cluster, "uploaded")) as Buffer, image)).toBe(true);
});

test("a second controller waits, and takes over when the first is gone", { timeout: 180_000 }, async () => {
  const first = await holder();
  expect(first).toContain("_");
  await start(named("cdi-deployment"), "b");
  await kubectl(undefined, "delete", "pod", "cdi-deployment-a", "-n", cdiNamespace, "--wait=true");
  await expect.poll(holder, { timeout: 60_000, interval: 200 }).not.toBe(first);
  await imports("after");
});
