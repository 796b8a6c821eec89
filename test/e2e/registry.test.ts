// DataVolumes filled from container images in a real registry, on an embedded cluster: what they say on the way and at the end.
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Pod } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../src/api/meta.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { conditionOf, diskOf, history, holdsImage, isReady, phaseIs, startCluster } from "../support/cluster.ts";
import { buildIndex, diskImage } from "../support/container-disk.ts";
import { makeFolder } from "../support/loop.ts";
import { noRegistry, startRegistry, type Registry } from "../support/registry.ts";
import { markedSecret } from "../support/secret-scan.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const prefix = "cdi.kubevirt.io/";
const disk = makeSparseImage(6 * mib, 40, 51);
const login = { user: "maria", password: markedSecret("registry") };
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);
let cluster: Embedded;
let plain: Registry;
let secured: Registry;

const object = (kind: KindRef, name: string, fields: object): KubeObject =>
  ({ apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name, namespace: "default" }, ...fields }) as KubeObject;
const create = (kind: KindRef, name: string, fields: object): Promise<KubeObject> =>
  cluster.client.create(object(kind, name, fields), kind);
const imageVolume = (name: string, registry: object, volumeMode = "Filesystem"): Promise<KubeObject> =>
  create(kinds.dataVolume, name, {
    spec: {
      source: { registry },
      pvc: { accessModes: ["ReadWriteOnce"], volumeMode, resources: { requests: { storage: "16Mi" } } },
    },
  });
const ended = (dv: DataVolume): boolean => phaseIs("Failed")(dv) || (phaseIs("Succeeded")(dv) && isReady(dv));
const lastOf = async (name: string, until = ended): Promise<DataVolume> => {
  const last = (await history<DataVolume>(cluster, kinds.dataVolume, name, until)).at(-1);
  if (!last) throw new Error(`${name} was never seen`);
  return last;
};
const filled = async (name: string): Promise<Buffer> => (await diskOf(cluster, name)) ?? Buffer.alloc(0);
const claimOf = (name: string) => cluster.client.get({ kind: kinds.claim, namespace: "default", name });

describe.skipIf(noRegistry !== undefined)("DataVolumes from container images", () => {
  beforeAll(async () => {
    cluster = await startCluster(atEnd, { maxRunning: 4 });
    plain = await startRegistry({}, atEnd);
    secured = await startRegistry({ store: plain.store, tls: true, basic: login }, atEnd);
    const folder = await makeFolder("cdi-registry-e2e-", atEnd);
    await writeFile(join(folder, "disk.img"), disk);
    execFileSync("qemu-img", ["convert", "-c", "-O", "qcow2", join(folder, "disk.img"), join(folder, "disk.qcow2")]);
    const qcow2 = await readFile(join(folder, "disk.qcow2"));
    const env = ["INSTANCETYPE_KUBEVIRT_IO_DEFAULT_INSTANCETYPE=u1.medium", "BAD_KUBEVIRT_IO_X=not a label!"];
    await plain.push("vm/disk", "1", await diskImage(qcow2, { env }, "disk/disk.qcow2"));
    await plain.push("vm/raw", "1", await diskImage(disk));
    const images = ["amd64", "arm64"].map((architecture) => diskImage(disk, { architecture }));
    await plain.push("vm/two", "1", buildIndex(await Promise.all(images)));
    const ref = { kind: kinds.cdiConfig, name: "config" };
    await cluster.client.patch(ref, { spec: { insecureRegistries: [plain.host] } }, { type: "merge" });
    await create(kinds.configMap, "registry-ca", { data: { "ca.crt": secured.ca, "readme.txt": "no certificate" } });
    await create(kinds.secret, "registry-login", {
      stringData: { accessKeyId: login.user, secretKey: login.password },
    });
    const auth = Buffer.from(`${login.user}:${login.password}`).toString("base64");
    await create(kinds.secret, "registry-docker", {
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": JSON.stringify({ auths: { [secured.host]: { auth } } }) },
    });
  }, 60_000);
  afterAll(async () => {
    for (const act of release.reverse()) await act();
  });

  test("a qcow2 of an insecure registry without scratch space, with its labels on claim and DataVolume and what is asked on the claim", async () => {
    const url = `docker://${plain.host}/vm/disk:1`;
    await imageVolume("labelled", { url });
    const last = await lastOf(
      "labelled",
      (dv) => ended(dv) && dv.metadata.labels?.["instancetype.kubevirt.io/default-instancetype"] !== undefined,
    );
    expect(last.status).toMatchObject({ phase: "Succeeded", progress: "100.0%" });
    expect(last.metadata.labels).toEqual({
      "instancetype.kubevirt.io/default-instancetype": "u1.medium",
    });
    const claim = await claimOf("labelled");
    // Compressed twice over, and yet no scratch space was ever asked for.
    expect(claim?.metadata.annotations).not.toHaveProperty(`${prefix}storage.import.requiresScratch`);
    expect(claim?.metadata.annotations).toMatchObject({
      [`${prefix}storage.import.source`]: "registry",
      [`${prefix}storage.import.endpoint`]: url,
      [`${prefix}storage.contentType`]: "kubevirt",
      [`${prefix}storage.pod.phase`]: "Succeeded",
    });
    expect(claim?.metadata.labels).toMatchObject({ "instancetype.kubevirt.io/default-instancetype": "u1.medium" });
    expect(Object.keys(claim?.metadata.labels ?? {})).not.toContain("bad.kubevirt.io/x");
    expect(holdsImage(await filled("labelled"), disk)).toBe(true);
  });

  test("into a DataVolume of just the disk's size", async () => {
    const source = { registry: { url: `docker://${plain.host}/vm/raw:1` } };
    const storage = { resources: { requests: { storage: String(disk.length) } } };
    await create(kinds.dataVolume, "barely", { spec: { source, storage } });
    expect((await lastOf("barely")).status?.phase).toBe("Succeeded");
    expect(holdsImage(await filled("barely"), disk)).toBe(true);
  });

  test("onto a block device", async () => {
    await imageVolume("block", { url: `docker://${plain.host}/vm/raw:1` }, "Block");
    expect((await lastOf("block")).status?.phase).toBe("Succeeded");
    expect(holdsImage(await filled("block"), disk)).toBe(true);
  });

  test.each([
    { when: "upstream's secret", secretRef: "registry-login" },
    { when: "a docker config as secret", secretRef: "registry-docker" },
  ])("with TLS of its own authority and $when", async ({ secretRef }) => {
    await imageVolume(secretRef, { url: `docker://${secured.host}/vm/raw:1`, secretRef, certConfigMap: "registry-ca" });
    expect((await lastOf(secretRef)).status?.phase).toBe("Succeeded");
    expect(holdsImage(await filled(secretRef), disk)).toBe(true);
  });

  const failing = (code: string) => (dv: DataVolume) => ended(dv) || dv.status?.transfer?.code === code;
  test.each([
    { when: "no authority is given", name: "no-ca", source: { secretRef: "registry-login" }, code: "UnknownAuthority" },
    {
      when: "no credentials are given",
      name: "no-login",
      source: { certConfigMap: "registry-ca" },
      code: "SourceUnauthorized",
    },
    {
      when: "there is no such tag",
      name: "no-tag",
      source: { secretRef: "registry-login", certConfigMap: "registry-ca" },
      code: "SourceNotFound",
      tag: "9",
    },
  ])("$when: ImagePullFailed, and tried again", async ({ name, source, code, tag = "1" }) => {
    await imageVolume(name, { url: `docker://${secured.host}/vm/raw:${tag}`, ...source });
    const last = await lastOf(name, failing(code));
    const running = conditionOf(last, "Running");
    expect(running).toMatchObject({ status: "False", reason: "ImagePullFailed" });
    expect(running?.message).toMatch(
      /^Unable to process data: Unable to transfer source data to scratch space: Failed to read registry image: failed to pull image: /,
    );
    expect(running?.message).not.toContain(login.password);
    expect(last.status?.phase).not.toBe("Succeeded");
  });

  test("an architecture: the one that is asked for, and Failed when there is none", async () => {
    const url = `docker://${plain.host}/vm/two:1`;
    await imageVolume("arm", { url, platform: { architecture: "arm64" } });
    await imageVolume("power", { url, platform: { architecture: "ppc64le" } });
    expect((await lastOf("arm")).status?.phase).toBe("Succeeded");
    const last = await lastOf("power");
    expect(last.status).toMatchObject({ phase: "Failed", transfer: { code: "PlatformMissing" } });
    expect(conditionOf(last, "Running")?.message).toContain('no image found in image index for architecture "ppc64le"');
  });

  const untilGone = (kind: KindRef, name: string) =>
    expect.poll(() => cluster.client.get({ kind, namespace: "default", name }), { timeout: 20_000 }).toBeUndefined();

  test("an ImageStream's DataVolume deleted while the image cannot be pulled: pod and claim go", async () => {
    await imageVolume("stream-none", { imageStream: `${plain.host}/vm/none:1`, pullMethod: "node" });
    await lastOf("stream-none", failing("ImageNotServed"));
    await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name: "stream-none" });
    await untilGone(kinds.pod, "importer-stream-none");
    await untilGone(kinds.claim, "stream-none");
  });

  test("node pull of a tag that is not there: ImagePullFailed with the image's name, and tried for as long as it takes", async () => {
    await imageVolume("node-no-tag", { url: `docker://${plain.host}/vm/raw:9`, pullMethod: "node" });
    const last = await lastOf("node-no-tag", failing("ImageNotServed"));
    expect(conditionOf(last, "Running")).toMatchObject({
      status: "False",
      reason: "ImagePullFailed",
      message: `failed to pull image: ${plain.host}/vm/raw:9`,
    });
    expect(["ImportScheduled", "ImportInProgress"]).toContain(last.status?.phase);
  });

  test("node pull for an architecture goes to a node that has it", async () => {
    const url = `docker://${plain.host}/vm/two:1`;
    await imageVolume("node-power", { url, pullMethod: "node", platform: { architecture: "ppc64le" } });
    const pods = await history<Pod>(cluster, kinds.pod, "importer-node-power", () => true);
    expect(pods.at(-1)?.spec.nodeSelector).toEqual({ "kubernetes.io/arch": "ppc64le" });
  });
});
