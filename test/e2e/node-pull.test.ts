// DataVolumes filled by node pull on an embedded cluster, out of a real registry: the node pulls the image, a server inside it
// hands its disk to the importer.
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Pod } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { conditionOf, diskOf, history, holdsImage, isReady, phaseIs, startCluster } from "../support/cluster.ts";
import { buildImage, diskImage, packLayer } from "../support/container-disk.ts";
import { makeFolder } from "../support/loop.ts";
import { checkout, startCdiUp } from "../support/cdi-up.ts";
import { listen, noRegistry, startRegistry, type Registry } from "../support/registry.ts";
import { runText } from "../support/run-text.ts";
import { markedSecret } from "../support/secret-scan.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const disk = makeSparseImage(6 * mib, 40, 83);
const login = { user: "maria", password: markedSecret("registry") };
const isRoot = process.getuid?.() === 0;
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);
let cluster: Embedded & { dir: string };
let plain: Registry;
let secured: Registry;

async function createVolume(name: string, spec: object, annotations: Record<string, string> = {}): Promise<void> {
  const { apiVersion, kind } = kinds.dataVolume;
  const metadata = { name, namespace: "default", annotations };
  await cluster.client.create({ apiVersion, kind, metadata, spec }, kinds.dataVolume);
}
const claimOf = (name: string) => cluster.client.get({ kind: kinds.claim, namespace: "default", name });

async function pullInto(name: string, image: string, volumeMode = "Filesystem"): Promise<void> {
  const pvc = { accessModes: ["ReadWriteOnce"], volumeMode, resources: { requests: { storage: "16Mi" } } };
  await createVolume(name, { source: { registry: { url: `docker://${image}`, pullMethod: "node" } }, pvc });
}
const ended = (dv: DataVolume): boolean => phaseIs("Failed")(dv) || (phaseIs("Succeeded")(dv) && isReady(dv));
const lastOf = async (name: string, until = ended): Promise<DataVolume> => {
  const last = (await history<DataVolume>(cluster, kinds.dataVolume, name, until)).at(-1);
  if (!last) throw new Error(`${name} was never seen`);
  return last;
};
async function expectFilled(name: string): Promise<DataVolume> {
  const last = await lastOf(name);
  expect({ name, phase: last.status?.phase, running: conditionOf(last, "Running")?.message }).toMatchObject({
    phase: "Succeeded",
  });
  expect(holdsImage((await diskOf(cluster, name)) ?? Buffer.alloc(0), disk)).toBe(true);
  return last;
}

describe.skipIf(!isRoot || noRegistry !== undefined)("node pull", () => {
  beforeAll(async () => {
    cluster = await startCluster(atEnd, { maxRunning: 4 });
    plain = await startRegistry({}, atEnd);
    secured = await startRegistry({ store: plain.store, basic: login }, atEnd);
    const folder = await makeFolder("cdi-node-pull-", atEnd);
    await writeFile(join(folder, "disk.img"), disk);
    execFileSync("qemu-img", ["convert", "-c", "-O", "qcow2", join(folder, "disk.img"), join(folder, "disk.qcow2")]);
    const qcow2 = await readFile(join(folder, "disk.qcow2"));
    const env = ["INSTANCETYPE_KUBEVIRT_IO_DEFAULT_INSTANCETYPE=u1.medium", "NODE_OPTIONS=--no-such-option"];
    await plain.push("vm/disk", "1", await diskImage(qcow2, { env }, "disk/my disk.qcow2"));
    await plain.push("vm/raw", "1", await diskImage(disk));
    const two = await packLayer({ "disk/": "", "disk/a.img": disk, "disk/b.img": disk });
    await plain.push("vm/two-disks", "1", buildImage({ layers: [two] }));
    const bootable = await packLayer({ "ostree/": "", "disk/": "", "disk/a.img": disk });
    await plain.push("vm/bootable", "1", buildImage({ layers: [bootable] }));
  }, 60_000);
  afterAll(async () => {
    for (const act of release.reverse()) await act();
  });

  test("a qcow2 with its labels, a raw disk, and one onto a block device, all at once", async () => {
    await pullInto("labelled", `${plain.host}/vm/disk:1`);
    await pullInto("raw", `${plain.host}/vm/raw:1`);
    await pullInto("block", `${plain.host}/vm/raw:1`, "Block");
    const { metadata } = await expectFilled("labelled");
    expect(metadata.labels).toMatchObject({ "instancetype.kubevirt.io/default-instancetype": "u1.medium" });
    await expectFilled("raw");
    await expectFilled("block");
    // With the pods go what the node pulled for them.
    await expect.poll(() => readdir(join(cluster.dir, "images")), { timeout: 20_000 }).toEqual([]);
  });

  test("a disk that is to be preallocated", async () => {
    const source = { registry: { url: `docker://${plain.host}/vm/disk:1`, pullMethod: "node" } };
    const storage = { resources: { requests: { storage: "16Mi" } } };
    await createVolume("preallocated", { source, storage, preallocation: true });
    await expectFilled("preallocated");
    const claim = await claimOf("preallocated");
    expect(claim?.metadata.annotations).toMatchObject({ "cdi.kubevirt.io/storage.preallocation": "true" });
    expect(claim?.metadata.annotations).not.toHaveProperty("cdi.kubevirt.io/storage.import.requiresScratch");
  });

  test("an ImageStream: nobody owns the pod, which goes all the same, and lets the claim go", async () => {
    const finalizer = "cdi.kubevirt.io/importImageStream";
    const held = (claim: KubeObject): boolean => claim.metadata.finalizers?.includes(finalizer) ?? false;
    const pvc = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } };
    const source = { registry: { imageStream: `${plain.host}/vm/disk:1`, pullMethod: "node" } };
    await createVolume("stream", { source, pvc });
    const [[pod]] = await Promise.all([
      history<Pod>(cluster, kinds.pod, "importer-stream", () => true),
      history(cluster, kinds.claim, "stream", held),
    ]);
    expect(pod?.metadata).not.toHaveProperty("ownerReferences");
    expect(pod?.metadata.annotations).toMatchObject({ "alpha.image.policy.openshift.io/resolve-names": "*" });
    await expectFilled("stream");
    const podNow = () => cluster.client.get({ kind: kinds.pod, namespace: "default", name: "importer-stream" });
    await expect.poll(podNow, { timeout: 20_000 }).toBeUndefined();
    await expect.poll(async () => (await claimOf("stream"))?.metadata.finalizers ?? []).not.toContain(finalizer);
    expect((await claimOf("stream"))?.metadata.labels).toMatchObject({
      "instancetype.kubevirt.io/default-instancetype": "u1.medium",
    });
  });

  test("the pod: an init container, then importer and server side by side", async () => {
    await pullInto("seen", `${plain.host}/vm/raw:1`);
    const of = (pod: Pod, wanted: string) => pod.status?.containerStatuses?.find(({ name }) => name === wanted);
    const done = (pod: Pod): boolean => of(pod, "importer")?.state?.terminated !== undefined;
    const states = await history<Pod>(cluster, kinds.pod, "importer-seen", done);
    const last = states.at(-1);
    expect(last?.status?.initContainerStatuses).toMatchObject([
      { name: "init", restartCount: 0, state: { terminated: { exitCode: 0, reason: "Completed" } } },
    ]);
    expect(last && of(last, "importer")).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 0, message: expect.stringContaining("Import Complete") as string } },
    });
    const served = states.map((pod) => of(pod, "server")).find((status) => status?.state?.running);
    expect(served).toMatchObject({
      restartCount: 0,
      image: `${plain.host}/vm/raw:1`,
      imageID: expect.stringMatching(new RegExp(`^${plain.host}/vm/raw@sha256:[0-9a-f]{64}$`)) as string,
    });
    await expectFilled("seen");
  });

  test("a registry that wants credentials: the node has them by imagePullSecrets, and says so without", async () => {
    const image = `${secured.host}/vm/raw:1`;
    await pullInto("no-login", image);
    const last = await lastOf(
      "no-login",
      (dv) => ended(dv) || conditionOf(dv, "Running")?.reason === "ImagePullFailed",
    );
    expect(conditionOf(last, "Running")?.message).toBe(`failed to pull image: ${image}`);
    const auth = Buffer.from(`${login.user}:${login.password}`).toString("base64");
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "pull", namespace: "default" },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": JSON.stringify({ auths: { [secured.host]: { auth } } }) },
    };
    await cluster.client.create(secret, kinds.secret);
    const config = { kind: kinds.cdiConfig, name: "config" };
    await cluster.client.patch(config, { spec: { imagePullSecrets: [{ name: "pull" }] } }, { type: "merge" });
    await expect
      .poll(async () => ((await cluster.client.get(config)) as { status?: object } | undefined)?.status)
      .toMatchObject({ imagePullSecrets: [{ name: "pull" }] });
    await pullInto("login", image);
    await expectFilled("login");
  });

  test.each([
    { name: "two-disks", says: "image directory contains more than one file", code: "NoDiskInImage" },
    { name: "bootable", says: "bootc image detected", code: "ImageRefused" },
  ])("an image that holds no one disk is told: $name", async ({ name, says, code }) => {
    await pullInto(name, `${plain.host}/vm/${name}:1`);
    const last = await lastOf(name, (dv) => (conditionOf(dv, "Running")?.message ?? "").includes(says));
    expect(last.status?.phase).not.toBe("Succeeded");
    expect((await lastOf(name)).status).toMatchObject({ phase: "Failed", transfer: { code } });
  });

  test("a pod that is to be kept ends well once importer and server have", async () => {
    const source = { registry: { url: `docker://${plain.host}/vm/raw:1`, pullMethod: "node" } };
    const pvc = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } };
    const annotations = { "cdi.kubevirt.io/storage.pod.retainAfterCompletion": "true" };
    await createVolume("kept", { source, pvc }, annotations);
    await expectFilled("kept");
    const states = await history<Pod>(cluster, kinds.pod, "importer-kept", (pod) => pod.status?.phase === "Succeeded");
    expect(states.at(-1)?.status?.containerStatuses).toMatchObject([
      { name: "importer", restartCount: 0, state: { terminated: { exitCode: 0 } } },
      { name: "server", restartCount: 0, state: { terminated: { exitCode: 0 } } },
    ]);
  });
});

/** A registry before the registry, whose layers get stuck until it is told to let them through. */
async function startStuck(behind: Registry): Promise<{ host: string; asked: () => number; letThrough: () => void }> {
  const stuck: (() => void)[] = [];
  let isOpen = false;
  let asked = 0;
  const url = await listen((incoming, response) => {
    const { method, url: path = "", headers } = incoming;
    const onwards = request(`http://${behind.host}${path}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.on("close", () => answer.destroy());
      const isLayer = path.includes("/blobs/") && Number(answer.headers["content-length"] ?? 0) > mib;
      if (isLayer) asked += 1;
      if (!isLayer || isOpen) return void answer.pipe(response);
      response.flushHeaders();
      stuck.push(() => answer.pipe(response));
    });
    onwards.on("error", () => response.destroy());
    onwards.end();
  });
  return {
    host: url.replace("http://", ""),
    asked: () => asked,
    letThrough() {
      isOpen = true;
      for (const go of stuck.splice(0)) go();
    },
  };
}

/** Programs of this checkout alone: others may run tests too. */
const pullers = async (): Promise<string[]> =>
  (await runText("ps", ["-eo", "pid=,args="]))
    .split("\n")
    .filter((line) => line.includes(join(checkout, "dist/imagepull.js")));

test.skipIf(!isRoot || noRegistry !== undefined)(
  "kill -9 while the node pulls: nothing is left, and the next start fills the volume",
  async () => {
    const registry = await startRegistry({});
    // Not to be made smaller than what gets stuck.
    const image = makeSparseImage(6 * mib, 60, 84);
    await registry.push("vm/raw", "1", await diskImage(image, { form: "plain" }));
    const stuck = await startStuck(registry);
    const dir = await makeFolder("cdi-node-pull-up-");
    const first = await startCdiUp({ dir });
    onTestFinished(() => first.kill());
    const manifest = `
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: { name: pulled }
spec:
  source: { registry: { url: "docker://${stuck.host}/vm/raw:1", pullMethod: node } }
  pvc: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 16Mi } } }
`;
    await first.kubectlWith(manifest, "apply", "-f", "-");
    await expect.poll(stuck.asked, { timeout: 20_000 }).toBe(1);
    expect(await pullers()).not.toEqual([]);
    await first.kill();
    await expect.poll(pullers, { timeout: 5000 }).toEqual([]);
    const second = await startCdiUp({ dir });
    onTestFinished(() => second.stop());
    stuck.letThrough();
    await second.kubectl("wait", "--for=condition=Ready", "dv/pulled", "--timeout=60s");
    const path = await second.kubectl("get", "pv", "-o", "jsonpath={.items[0].spec.local.path}");
    const out = join(dir, "dumped.img");
    await runText("debugfs", ["-R", `dump /disk.img ${out}`, path]);
    expect((await readFile(out)).subarray(0, image.length).equals(image)).toBe(true);
    await expect.poll(() => readdir(join(dir, "images")), { timeout: 20_000 }).toEqual([]);
  },
  120_000,
);
