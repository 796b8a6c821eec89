// Uploads as virtctl makes them, old and new, into an embedded cluster: through its token API, its proxy and a real upload server,
// into real volumes; and the wrong ones, each followed by a right one.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { ConfigMap } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import { bundleKey, signers } from "../../src/contract/install-names.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { removeDir, temporaryDir } from "../support/cdi-up.ts";
import { diskOf, eventsAbout, history, holdsImage, isReady, startCluster } from "../support/cluster.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";
import { virtctlOver, type UploadWish } from "../support/virtctl-client.ts";

const run = promisify(execFile);
const mib = 1024 * 1024;
const image = makeSparseImage(8 * mib, 30, 23);
const release: (() => Promise<void>)[] = [];
let cluster: Embedded;
let virtctl: ReturnType<typeof virtctlOver>;
let dir: string;
let ca: string;
let url: string;
const file = (name: string): string => join(dir, name);

beforeAll(async () => {
  cluster = await startCluster((act) => release.push(act), { maxRunning: 4 });
  dir = await temporaryDir();
  release.push(() => removeDir(dir));
  await writeFile(file("disk.img"), image);
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", file("disk.img"), file("disk.qcow2")]);
  await mkdir(file("tree/sub"), { recursive: true });
  await writeFile(file("tree/sub/hello"), "hello from the tree\n");
  await run("tar", ["-C", file("tree"), "-cf", file("tree.tar"), "."]);
  await writeFile(file("garbage.qcow2"), randomBytes(mib));
  virtctl = virtctlOver(cluster.kubeconfig);
  url = await cluster.uploadUrl;
  const bundle = await cluster.client.get({
    kind: kinds.configMap,
    namespace: "cdi",
    name: signers.uploadProxy.bundle,
  });
  ca = (bundle as ConfigMap | undefined)?.data?.[bundleKey] ?? "";
  await writeFile(file("ca.pem"), ca);
});
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

const volumeOf = async (name: string): Promise<DataVolume> =>
  (await cluster.client.get({ kind: kinds.dataVolume, namespace: "default", name })) as DataVolume;
const untilSucceeded = (name: string): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, isReady);
const phases = (states: readonly DataVolume[]): string[] => [
  ...new Set(states.map(({ status }) => status?.phase ?? "")),
];

type Row = Partial<UploadWish> & { when: string; before?: (name: string) => Promise<unknown>; file?: string };
/** With its claim. */
async function emptyVolume(name: string): Promise<void> {
  const object = {
    apiVersion: kinds.dataVolume.apiVersion,
    kind: kinds.dataVolume.kind,
    metadata: { namespace: "default", name },
    spec: { source: { upload: {} }, storage: { resources: { requests: { storage: "16Mi" } } } },
  };
  await cluster.client.create(object, kinds.dataVolume);
  await history(cluster, kinds.claim, name, () => true);
}
/** Bound: until then others write to it, and virtctl takes a conflict for a failure. */
async function emptyClaim(name: string): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace: "default", name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "32Mi" } } },
  };
  await cluster.client.create(object, kinds.claim);
  const isBound = ({ status }: KubeObject): boolean => (status as { phase?: string } | undefined)?.phase === "Bound";
  await history<KubeObject>(cluster, kinds.claim, name, isBound);
}

const rows: Row[] = [
  { when: "a new DataVolume, raw", kind: "dv" },
  { when: "a new DataVolume, qcow2", kind: "dv", file: "disk.qcow2" },
  { when: "a new DataVolume on a device", kind: "dv", block: true },
  { when: "a new claim", kind: "pvc" },
  { when: "a new claim on a device", kind: "pvc", block: true, file: "disk.qcow2" },
  { when: "a DataVolume that is there", kind: "dv", noCreate: true, before: emptyVolume },
  { when: "a claim that is there", kind: "pvc", noCreate: true, before: emptyClaim },
  { when: "the proxy's certificate unchecked", kind: "dv", insecure: true },
];

describe.each(["old", "new"] as const)("virtctl, %s", (style) => {
  test.each(rows)("$when", async ({ when, before, file: name = "disk.img", ...wish }) => {
    const target = `${style}-${rows.findIndex((row) => row.when === when)}`;
    await before?.(target);
    const kind = wish.kind ?? "dv";
    await virtctl.upload({ style, size: "32Mi", ca, ...wish, kind, name: target, path: file(name) });
    if (kind === "dv") await untilSucceeded(target);
    expect(holdsImage((await diskOf(cluster, target)) as Buffer, image)).toBe(true);
  });
});

test("a class that waits for its first consumer: refused, and with --force-bind uploaded", async () => {
  const config = { kind: kinds.cdiConfig, name: "config" };
  await cluster.client.patch(config, { spec: { featureGates: ["HonorWaitForFirstConsumer"] } }, { type: "merge" });
  const wish = {
    style: "new",
    kind: "dv",
    size: "32Mi",
    ca,
    storageClass: "local-wffc",
    path: file("disk.img"),
  } as const;
  try {
    await expect(virtctl.upload({ ...wish, name: "unforced" })).rejects.toThrow(/WaitForFirstConsumer state/);
    await virtctl.upload({ ...wish, name: "forced", forceBind: true });
    await untilSucceeded("forced");
    expect(holdsImage((await diskOf(cluster, "forced")) as Buffer, image)).toBe(true);
  } finally {
    await cluster.client.patch(config, { spec: { featureGates: null } }, { type: "merge" });
  }
});

test("phases, events and conditions of an upload are upstream's, and nothing is left behind", async () => {
  const seen = untilSucceeded("told");
  await virtctl.upload({ style: "new", kind: "dv", name: "told", size: "32Mi", ca, path: file("disk.img") });
  const states = await seen;
  const order = ["Pending", "UploadScheduled", "UploadReady", "Succeeded"];
  expect(phases(states).filter((phase) => order.includes(phase))).toEqual(order);
  expect(phases(states)).not.toContain("Failed");
  const ready = states.find(({ status }) => status?.phase === "UploadReady");
  expect(ready?.status?.conditions).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ type: "Ready", status: "False", reason: "TransferRunning" }),
      expect.objectContaining({ type: "Running", status: "True", reason: "Pod is running" }),
    ]),
  );
  expect((await volumeOf("told")).status).toMatchObject({ progress: "N/A", claimName: "told" });
  await expect
    .poll(async () => (await eventsAbout(cluster, "told", "DataVolume")).map(({ reason }) => reason), {
      timeout: 10_000,
    })
    .toEqual(expect.arrayContaining(["UploadScheduled", "UploadReady", "UploadSucceeded"]));
  const ofClaim = await eventsAbout(cluster, "told", "PersistentVolumeClaim");
  expect(ofClaim).toContainEqual({ type: "Normal", reason: "UploadSucceeded", message: "Upload Successful" });
  const left = async () => {
    const found = await Promise.all(
      [kinds.pod, kinds.service, kinds.secret].map((kind) => cluster.client.list(kind, { namespace: "default" })),
    );
    return found
      .flatMap(({ items }) => items.map(({ metadata }) => metadata.name))
      .filter((name) => name === "cdi-upload-told");
  };
  await expect.poll(left, { timeout: 15_000 }).toEqual([]);
});

/** curl through the proxy: "code body". */
async function curl(path: string, ...args: string[]): Promise<string> {
  const out = await runText("curl", [
    "-sS",
    "--cacert",
    file("ca.pem"),
    "-w",
    "\n%{http_code}",
    ...args,
    `${url}${path}`,
  ]);
  const at = out.lastIndexOf("\n");
  return `${out.slice(at + 1)} ${out.slice(0, at)}`.trim();
}
const bearer = (token: string): string[] => ["-H", `Authorization: Bearer ${token}`];
const post = (name: string): string[] => ["-X", "POST", "-T", file(name)];

async function readyVolume(name: string): Promise<string> {
  await emptyVolume(name);
  await history<DataVolume>(cluster, kinds.dataVolume, name, ({ status }) => status?.phase === "UploadReady");
  return virtctl.token({ style: "new", name });
}

test("what is wrong is answered as documented, and the next try succeeds", async () => {
  const token = await readyVolume("wrong");
  await readyVolume("another");
  const others = await virtctl.token({ style: "new", name: "nobody" });
  expect(await curl("/v1beta1/upload", ...post("disk.img"))).toBe("400");
  expect(await curl("/v1beta1/upload", ...post("disk.img"), ...bearer("a.b.c"))).toBe("401");
  expect(await curl("/v1beta1/upload", ...post("disk.img"), ...bearer(others))).toBe(
    "503 rejecting Upload Request for PVC nobody that doesn&#39;t exist",
  );
  expect(await curl("/v1beta1/upload", "-X", "PUT", "-T", file("disk.img"), ...bearer(token))).toMatch(/^404/);
  expect(await curl("/v1beta1/upload-async", "-I", "-o", file("head"), ...bearer(token))).toBe("200");
  expect(await curl("/v1beta1/upload", ...post("disk.img"), ...bearer(token))).toBe("200");
  await untilSucceeded("wrong");
  expect(holdsImage((await diskOf(cluster, "wrong")) as Buffer, image)).toBe(true);
  expect(await curl("/v1beta1/upload", ...post("disk.img"), ...bearer(token))).toBe(
    "503 rejecting Upload Request for PVC wrong that already finished uploading",
  );
  // The token was good for its claim alone.
  expect((await volumeOf("another")).status?.phase).toBe("UploadReady");
});

test("an image that is too large is refused, and a smaller one taken", async () => {
  const token = await readyVolume("small");
  await run("qemu-img", ["create", "-q", "-f", "qcow2", file("large.qcow2"), "1G"]);
  const refused = await curl("/v1beta1/upload", ...post("large.qcow2"), ...bearer(token));
  expect(refused).toMatch(
    /^400 Saving stream failed: effective image size is larger than the reported available storage/,
  );
  expect((await volumeOf("small")).status?.phase).toBe("UploadReady");
  expect(await curl("/v1beta1/upload-async", ...post("disk.qcow2"), ...bearer(token))).toBe("200");
  await untilSucceeded("small");
  expect(holdsImage((await diskOf(cluster, "small")) as Buffer, image)).toBe(true);
});

test("a form's file is taken", async () => {
  const token = await readyVolume("form");
  const form = ["-F", "note=hello", "-F", `file=@${file("disk.img")}`];
  expect(await curl("/v1beta1/upload-form", ...form, ...bearer(token))).toBe("200");
  await untilSucceeded("form");
  expect(holdsImage((await diskOf(cluster, "form")) as Buffer, image)).toBe(true);
});

test("an upload target by annotation alone, and taken back, leaves no server", async () => {
  await emptyClaim("bare");
  const ref = { kind: kinds.claim, namespace: "default", name: "bare" };
  const mark = (value: string | null) =>
    cluster.client.patch(ref, { metadata: { annotations: { [annotations.uploadTarget]: value } } }, { type: "merge" });
  const isThere = async (): Promise<boolean> =>
    (await cluster.client.get({ kind: kinds.pod, namespace: "default", name: "cdi-upload-bare" })) !== undefined;
  await mark("");
  await expect.poll(isThere, { timeout: 10_000 }).toBe(true);
  await mark(null);
  await expect.poll(isThere, { timeout: 15_000 }).toBe(false);
});
