// Uploads as virtctl makes them, old and new, into an embedded cluster: through its token API, its proxy and a real upload server,
// into real volumes; and the wrong ones, each followed by a right one.
import { execFile } from "node:child_process";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import { copyTreeOf, diskOf, eventsAbout, history, holdsImage, rightsOf } from "../support/cluster.ts";
import {
  bearer,
  curl,
  emptyVolume,
  image,
  post,
  readyVolume,
  untilSucceeded,
  useUploadCluster,
  volumeOf,
} from "../support/upload-cluster.ts";
import type { UploadWish } from "../support/virtctl-client.ts";

const run = promisify(execFile);
const on = useUploadCluster();
const file = (name: string): string => on().file(name);

const phases = (states: readonly DataVolume[]): string[] => [
  ...new Set(states.map(({ status }) => status?.phase ?? "")),
];

type Row = Partial<UploadWish> & { when: string; before?: (name: string) => Promise<unknown>; file?: string };
/** Bound: until then others write to it, and virtctl takes a conflict for a failure. */
async function emptyClaim(name: string): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace: "default", name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "32Mi" } } },
  };
  await on().cluster.client.create(object, kinds.claim);
  const isBound = ({ status }: KubeObject): boolean => (status as { phase?: string } | undefined)?.phase === "Bound";
  await history<KubeObject>(on().cluster, kinds.claim, name, isBound);
}

const rows: Row[] = [
  { when: "a new DataVolume, raw", kind: "dv" },
  { when: "a new DataVolume, qcow2", kind: "dv", file: "disk.qcow2" },
  { when: "a new DataVolume on a device", kind: "dv", block: true },
  { when: "a new claim", kind: "pvc" },
  { when: "a new claim on a device", kind: "pvc", block: true, file: "disk.qcow2" },
  { when: "a DataVolume that is there", kind: "dv", noCreate: true, before: (name) => emptyVolume(on(), name) },
  { when: "a claim that is there", kind: "pvc", noCreate: true, before: emptyClaim },
  { when: "the proxy's certificate unchecked", kind: "dv", insecure: true },
];

describe.each(["old", "new"] as const)("virtctl, %s", (style) => {
  test.each(rows)("$when", async ({ when, before, file: name = "disk.img", ...wish }) => {
    const target = `${style}-${rows.findIndex((row) => row.when === when)}`;
    await before?.(target);
    const kind = wish.kind ?? "dv";
    await on().virtctl.upload({ style, size: "32Mi", ca: on().ca, ...wish, kind, name: target, path: file(name) });
    if (kind === "dv") await untilSucceeded(on(), target);
    expect(holdsImage((await diskOf(on().cluster, target)) as Buffer, image)).toBe(true);
  });
});

// A virtual machine gets at its disk by the volume's group.
test.skipIf(process.getuid?.() !== 0)("the disk is the volume's group's to read and write", async () => {
  const path = file("disk.qcow2");
  await on().virtctl.upload({ style: "new", kind: "dv", name: "grouped", size: "32Mi", ca: on().ca, path });
  await untilSucceeded(on(), "grouped");
  expect(await rightsOf(on().cluster, "grouped")).toEqual({ group: 107, mode: 0o660 });
});

const freshVolume = (name: string): UploadWish => ({
  style: "new",
  kind: "dv",
  name,
  size: "32Mi",
  ca: on().ca,
  path: file("disk.img"),
});

test("virtctl, new, whose token runs out between two tries, gets a fresh one and goes on", async () => {
  await run("qemu-img", ["create", "-q", "-f", "qcow2", file("too-large.qcow2"), "1G"]);
  const shown: string[] = [];
  const wish = {
    ...freshVolume("late"),
    // The first try is refused for another reason; the second for its token.
    sent: (attempt: number) => file(attempt === 1 ? "too-large.qcow2" : "disk.img"),
    token: (token: string, attempt: number) => {
      shown.push(token);
      return attempt === 2 ? token.slice(0, -8) : token;
    },
  };
  await on().virtctl.upload(wish);
  await untilSucceeded(on(), "late");
  expect(holdsImage((await diskOf(on().cluster, "late")) as Buffer, image)).toBe(true);
  expect(shown).toHaveLength(3);
  expect(shown[1]).toBe(shown[0]);
  expect(shown[2]).not.toBe(shown[1]);
});

test("virtctl, new, with a token that does not hold at once gives up", async () => {
  const wish = freshVolume("refused");
  const refused = on().virtctl.upload({ ...wish, token: (token) => token.slice(0, -8) });
  await expect(refused).rejects.toThrow("authentication failed");
  await on().virtctl.upload({ ...wish, noCreate: true });
  await untilSucceeded(on(), "refused");
});

test.each(["old", "new"] as const)("an archive by virtctl, %s, is unpacked into a volume", async (style) => {
  const folder = await mkdtemp(file("unpacked-"));
  const wish = { style, size: "32Mi", ca: on().ca, archive: true, path: file("tree.tar") } as const;
  for (const kind of ["dv", "pvc"] as const) {
    const name = `${style}-archive-${kind}`;
    await on().virtctl.upload({ ...wish, kind, name });
    if (kind === "dv") await untilSucceeded(on(), name);
    await copyTreeOf(on().cluster, name, folder);
    expect(await readFile(join(folder, "sub/hello"), "utf8")).toBe("hello from the tree\n");
    expect(await diskOf(on().cluster, name)).toBeUndefined();
  }
});

test("a class that waits for its first consumer: refused, and with --force-bind uploaded", async () => {
  const config = { kind: kinds.cdiConfig, name: "config" };
  await on().cluster.client.patch(config, { spec: { featureGates: ["HonorWaitForFirstConsumer"] } }, { type: "merge" });
  const wish = {
    style: "new",
    kind: "dv",
    size: "32Mi",
    ca: on().ca,
    storageClass: "local-wffc",
    path: file("disk.img"),
  } as const;
  try {
    await expect(on().virtctl.upload({ ...wish, name: "unforced" })).rejects.toThrow(/WaitForFirstConsumer state/);
    await on().virtctl.upload({ ...wish, name: "forced", forceBind: true });
    await untilSucceeded(on(), "forced");
    expect(holdsImage((await diskOf(on().cluster, "forced")) as Buffer, image)).toBe(true);
  } finally {
    await on().cluster.client.patch(config, { spec: { featureGates: null } }, { type: "merge" });
  }
});

test("phases, events and conditions of an upload are upstream's, and nothing is left behind", async () => {
  const seen = untilSucceeded(on(), "told");
  await on().virtctl.upload({
    style: "new",
    kind: "dv",
    name: "told",
    size: "32Mi",
    ca: on().ca,
    path: file("disk.img"),
  });
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
  expect((await volumeOf(on(), "told")).status).toMatchObject({ progress: "N/A", claimName: "told" });
  await expect
    .poll(async () => (await eventsAbout(on().cluster, "told", "DataVolume")).map(({ reason }) => reason), {
      timeout: 10_000,
    })
    .toEqual(expect.arrayContaining(["UploadScheduled", "UploadReady", "UploadSucceeded"]));
  const ofClaim = await eventsAbout(on().cluster, "told", "PersistentVolumeClaim");
  expect(ofClaim).toContainEqual({ type: "Normal", reason: "UploadSucceeded", message: "Upload Successful" });
  const left = async () => {
    const found = await Promise.all(
      [kinds.pod, kinds.service, kinds.secret].map((kind) => on().cluster.client.list(kind, { namespace: "default" })),
    );
    return found
      .flatMap(({ items }) => items.map(({ metadata }) => metadata.name))
      .filter((name) => name === "cdi-upload-told");
  };
  await expect.poll(left, { timeout: 15_000 }).toEqual([]);
});

test("an image that is too large is refused, and a smaller one taken", async () => {
  const token = await readyVolume(on(), "small");
  await run("qemu-img", ["create", "-q", "-f", "qcow2", file("large.qcow2"), "1G"]);
  const refused = await curl(on(), "/v1beta1/upload", ...post(on(), "large.qcow2"), ...bearer(token));
  expect(refused).toMatch(
    /^400 Saving stream failed: effective image size is larger than the reported available storage/,
  );
  expect((await volumeOf(on(), "small")).status?.phase).toBe("UploadReady");
  expect(await curl(on(), "/v1beta1/upload-async", ...post(on(), "disk.qcow2"), ...bearer(token))).toBe("200");
  await untilSucceeded(on(), "small");
  expect(holdsImage((await diskOf(on().cluster, "small")) as Buffer, image)).toBe(true);
});

test("a form's file is taken", async () => {
  const token = await readyVolume(on(), "form");
  const form = ["-F", "note=hello", "-F", `file=@${file("disk.img")}`];
  expect(await curl(on(), "/v1beta1/upload-form", ...form, ...bearer(token))).toBe("200");
  await untilSucceeded(on(), "form");
  expect(holdsImage((await diskOf(on().cluster, "form")) as Buffer, image)).toBe(true);
});

test("an upload target by annotation alone, and taken back, leaves no server", async () => {
  await emptyClaim("bare");
  const ref = { kind: kinds.claim, namespace: "default", name: "bare" };
  const mark = (value: string | null) =>
    on().cluster.client.patch(
      ref,
      { metadata: { annotations: { [annotations.uploadTarget]: value } } },
      { type: "merge" },
    );
  const isThere = async (): Promise<boolean> =>
    (await on().cluster.client.get({ kind: kinds.pod, namespace: "default", name: "cdi-upload-bare" })) !== undefined;
  await mark("");
  await expect.poll(isThere, { timeout: 10_000 }).toBe(true);
  await mark(null);
  await expect.poll(isThere, { timeout: 15_000 }).toBe(false);
});
