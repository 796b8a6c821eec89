// Claims: bound quickly, real devices as root, folders otherwise, and nothing left after they are deleted.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { attachLoop, loopsOf } from "../../../src/embedded/volumes/loop.ts";
import type { PodSpec } from "../../../src/embedded/pods/pod-types.ts";
import {
  aClaim,
  aPod,
  createPod,
  filesUnder,
  gone,
  isRoot,
  logOf,
  phase,
  running,
  startTestNode,
  tracesOf,
  until,
  untilPod,
  type TestNode,
} from "./node.ts";

const roads = isRoot ? (["device", "folder"] as const) : (["folder"] as const);
const withFiles = (claimName: string): Partial<PodSpec> => ({
  securityContext: { fsGroup: 107 },
  volumes: [{ name: "data", persistentVolumeClaim: { claimName } }],
  containers: [{ name: "main", image: "sh", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
});
const withDevice = (claimName: string): Partial<PodSpec> => ({
  volumes: [{ name: "data", persistentVolumeClaim: { claimName } }],
  containers: [{ name: "main", image: "sh", volumeDevices: [{ name: "data", devicePath: "/dev/cdi-block-volume" }] }],
});

describe.each(roads)("on the %s road", (road) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode({ road });
  });
  afterAll(async () => {
    await node.close();
    expect(await tracesOf(node.dir)).toEqual([]);
  });
  const claimRef = (name: string) => ({ kind: kinds.claim, namespace: "default", name });
  const remove = async (...pods: string[]) => {
    for (const name of pods) await node.client.delete({ kind: kinds.pod, namespace: "default", name });
    for (const name of pods) await untilPod(node, name, gone);
  };

  test("a claim is bound within a second, sparse, and its objects say so", async () => {
    const started = performance.now();
    const claim = await node.client.create(aClaim("bound", "1Gi", "Filesystem"), kinds.claim);
    const bound = await until(node.client, kinds.claim, "bound", phase("Bound"), 1000);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(bound.metadata.annotations).toMatchObject({
      "pv.kubernetes.io/bind-completed": "yes",
      "pv.kubernetes.io/bound-by-controller": "yes",
    });
    expect(bound.metadata.finalizers).toEqual(["kubernetes.io/pvc-protection"]);
    expect(bound["status"]).toMatchObject({ capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] });
    const volume = await until(node.client, kinds.volume, `pvc-${claim.metadata.uid}`, phase("Bound"));
    const { backingFile, mode } = node.volumes.describe(claim.metadata.uid ?? "") ?? {};
    expect((volume["spec"] as { local: { path: string } }).local.path).toBe(backingFile);
    expect(mode).toBe("Filesystem");
    const { size, blocks } = await stat(backingFile ?? "");
    if (road === "device") expect({ size, blocks }).toEqual({ size: 1 << 30, blocks: 0 });
    await node.client.delete(claimRef("bound"), { uid: claim.metadata.uid ?? "" });
    await until(node.client, kinds.claim, "bound", gone);
    await until(node.client, kinds.volume, `pvc-${claim.metadata.uid}`, gone);
    expect(await filesUnder(join(node.dir, "volumes"))).toEqual([]);
  });

  test("a file written by one pod is read by the next, and a claim in use is kept", async () => {
    const claim = await node.client.create(aClaim("files", "64Mi", "Filesystem"), kinds.claim);
    const root = road === "device" ? "" : "$CDI_ROOT";
    await createPod(
      node,
      aPod("writer", `echo kept > ${root}/data/file; stat -c %g:%A ${root}/data/.`, withFiles("files")),
    );
    await untilPod(node, "writer", phase("Succeeded"));
    if (road === "device") expect(await logOf(node, "writer")).toBe("107:drwxrwsr-x\n");
    if (road === "device") expect(await loopsOf((file) => file.startsWith(node.dir))).toEqual([]);
    await createPod(node, aPod("reader", `cat ${root}/data/file; sleep 1000`, withFiles("files")));
    await untilPod(node, "reader", running);
    await node.client.delete(claimRef("files"));
    const held = await node.client.get(claimRef("files"));
    expect(held?.metadata.deletionTimestamp).toBeDefined();
    await expect.poll(() => logOf(node, "reader")).toBe("kept\n");
    await remove("reader", "writer");
    await until(node.client, kinds.volume, `pvc-${claim.metadata.uid}`, gone);
    expect(await filesUnder(join(node.dir, "volumes"))).toEqual([]);
    expect(await tracesOf(join(node.dir, "volumes"))).toEqual([]);
  });

  test("a block claim is a device of its size that the pod may write", async () => {
    const claim = await node.client.create(aClaim("block", "64Mi", "Block"), kinds.claim);
    const root = road === "device" ? "" : "$CDI_ROOT";
    const device = `${root}/dev/cdi-block-volume`;
    const size = road === "device" ? `blockdev --getsize64 ${device}` : `stat -c %s ${device}`;
    const script = `${size}; dd if=/dev/urandom of=${device} bs=1M count=8 conv=notrunc,fsync 2>/dev/null && echo wrote`;
    await createPod(node, aPod("raw", script, withDevice("block")));
    await untilPod(node, "raw", phase("Succeeded"));
    expect(await logOf(node, "raw")).toBe(`${64 << 20}\nwrote\n`);
    const { backingFile = "" } = node.volumes.describe(claim.metadata.uid ?? "") ?? {};
    expect((await stat(backingFile)).blocks * 512).toBeGreaterThanOrEqual(8 << 20);
    if (road === "device") {
      const punch = aPod("punch", `fallocate -p -o 0 -l 8388608 ${device} && sync ${device}`, withDevice("block"));
      await createPod(node, punch);
      await untilPod(node, "punch", phase("Succeeded"));
      expect((await stat(backingFile)).blocks * 512).toBeLessThan(1 << 20);
      await remove("punch");
    }
    await remove("raw");
    await node.client.delete(claimRef("block"));
    await until(node.client, kinds.volume, `pvc-${claim.metadata.uid}`, gone);
    expect(await filesUnder(join(node.dir, "volumes"))).toEqual([]);
  });

  const growTo = (name: string, storage: string) =>
    node.client.patch(claimRef(name), { spec: { resources: { requests: { storage } } } }, { type: "merge" });
  const hasCapacity = (storage: string) => (object: KubeObject | undefined) =>
    (object?.["status"] as { capacity?: { storage?: string } } | undefined)?.capacity?.storage === storage;

  test("a block claim grows under the pod that uses it", async () => {
    await node.client.create(aClaim("grown", "16Mi", "Block"), kinds.claim);
    const device = road === "device" ? "/dev/cdi-block-volume" : "$CDI_ROOT/dev/cdi-block-volume";
    const size = road === "device" ? `blockdev --getsize64 ${device}` : `stat -c %s ${device}`;
    const script = `until [ "$(${size})" = ${48 << 20} ]; do sleep 0.1; done; echo grown`;
    await createPod(node, aPod("watcher", script, withDevice("grown")));
    await untilPod(node, "watcher", running);
    await growTo("grown", "48Mi");
    await untilPod(node, "watcher", phase("Succeeded"));
    await until(node.client, kinds.claim, "grown", hasCapacity("48Mi"));
    const smaller = await growTo("grown", "16Mi").catch((cause: unknown) => (cause as Error).message);
    expect(smaller).toContain("spec.resources.requests.storage: Forbidden: field can not be less than status.capacity");
    await remove("watcher");
    await node.client.delete(claimRef("grown"));
    await until(node.client, kinds.claim, "grown", gone);
  });

  test("a file system grows once its pods have let go, and keeps what is in it", async () => {
    const claim = await node.client.create(aClaim("roomier", "32Mi", "Filesystem"), kinds.claim);
    const root = road === "device" ? "" : "$CDI_ROOT";
    const keep = `echo kept > ${root}/data/file; echo ready; trap 'exit 0' TERM; while :; do sleep 0.1; done`;
    await createPod(node, aPod("keeper", keep, withFiles("roomier")));
    await untilPod(node, "keeper", running);
    await expect.poll(() => logOf(node, "keeper")).toBe("ready\n");
    await growTo("roomier", "96Mi");
    if (road === "device") {
      const pending = await until(node.client, kinds.claim, "roomier", (one) =>
        JSON.stringify(one?.["status"] ?? {}).includes("FileSystemResizePending"),
      );
      expect(hasCapacity("32Mi")(pending)).toBe(true);
    }
    await remove("keeper");
    const grown = await until(node.client, kinds.claim, "roomier", hasCapacity("96Mi"));
    expect(grown["status"]).not.toHaveProperty("conditions");
    const volume = await node.client.get({ kind: kinds.volume, name: `pvc-${claim.metadata.uid}` });
    expect(volume?.["spec"]).toMatchObject({ capacity: { storage: "96Mi" } });
    const look = road === "device" ? "stat -f -c '%b %S' /data; cat /data/file" : `cat ${root}/data/file`;
    await createPod(node, aPod("looker", look, withFiles("roomier")));
    await untilPod(node, "looker", phase("Succeeded"));
    const [sizes = "", text = sizes] = (await logOf(node, "looker")).trim().split("\n");
    expect(text).toBe("kept");
    const [blocks = 0, blockSize = 0] = sizes.split(" ").map(Number);
    if (road === "device") expect(blocks * blockSize).toBeGreaterThan(90 << 20);
    await remove("looker");
    await node.client.delete(claimRef("roomier"));
    await until(node.client, kinds.claim, "roomier", gone);
  });

  test("a claim whose volume is deleted is Lost", async () => {
    const claim = await node.client.create(aClaim("lost", "1Mi", "Filesystem"), kinds.claim);
    await until(node.client, kinds.claim, "lost", phase("Bound"));
    await node.client.delete({ kind: kinds.volume, name: `pvc-${claim.metadata.uid}` });
    await until(node.client, kinds.claim, "lost", phase("Lost"));
    await node.client.delete(claimRef("lost"));
    await until(node.client, kinds.claim, "lost", gone);
    await expect.poll(() => filesUnder(join(node.dir, "volumes"))).toEqual([]);
  });

  test("a user's own volume is bound and used", async () => {
    const path = join(node.dir, "own");
    const { mkdir, chmod } = await import("node:fs/promises");
    await mkdir(path);
    await chmod(path, 0o777);
    const spec = {
      capacity: { storage: "2Gi" },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "manual",
      local: { path },
    };
    await node.client.create(
      { apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "own" }, spec },
      kinds.volume,
    );
    const claim = aClaim("static", "1Gi", "Filesystem");
    Object.assign(claim["spec"] as object, { storageClassName: "manual" });
    await node.client.create(claim, kinds.claim);
    const bound = await until(node.client, kinds.claim, "static", phase("Bound"));
    expect((bound["spec"] as { volumeName: string }).volumeName).toBe("own");
    const root = road === "device" ? "" : "$CDI_ROOT";
    await createPod(node, aPod("user", `echo x > ${root}/data/file`, withFiles("static")));
    await untilPod(node, "user", phase("Succeeded"));
    expect((await stat(join(path, "file"))).size).toBe(2);
    await remove("user");
    await node.client.delete(claimRef("static"));
    await until(node.client, kinds.volume, "own", phase("Released"));
    expect((await stat(join(path, "file"))).size).toBe(2);
  });

  test.skipIf(road !== "device").each([64 << 20, 500 * 1000 * 1000, 1 << 30, 10 * 2 ** 30, 100 * 2 ** 30])(
    "of %d bytes asked for, size / 1.06 is usable",
    async (bytes) => {
      const name = `size-${bytes}`;
      await node.client.create(aClaim(name, String(bytes), "Filesystem"), kinds.claim);
      await createPod(node, aPod(name, "stat -f -c '%a %S' /data", withFiles(name)));
      await untilPod(node, name, phase("Succeeded"));
      const [blocks = 0, blockSize = 0] = (await logOf(node, name)).split(" ").map(Number);
      expect(blocks * blockSize).toBeGreaterThanOrEqual(bytes / 1.06);
      await remove(name);
      await node.client.delete(claimRef(name));
      await until(node.client, kinds.claim, name, gone);
    },
  );

  test.skipIf(road !== "device")("a full volume says ENOSPC", async () => {
    await node.client.create(aClaim("full", "4Mi", "Filesystem"), kinds.claim);
    const script = "dd if=/dev/zero of=/data/big bs=1M count=8 2>&1; df /data >/dev/null";
    await createPod(node, aPod("fill", script, withFiles("full")));
    await untilPod(node, "fill", phase("Succeeded"));
    expect(await logOf(node, "fill")).toContain("No space left on device");
    await remove("fill");
    await node.client.delete(claimRef("full"));
    await until(node.client, kinds.claim, "full", gone);
  });

  test.skipIf(road !== "folder")("no file grows past the claim, and the program is told the size", async () => {
    await node.client.create(aClaim("bounded", "1Mi", "Filesystem"), kinds.claim);
    const script =
      'echo "$CDI_VOLUME_BYTES"; dd if=/dev/zero of=$CDI_ROOT/data/big bs=512K count=4 2>/dev/null; exit 0';
    await createPod(node, aPod("bounded", script, { ...withFiles("bounded"), restartPolicy: "Never" }));
    await untilPod(node, "bounded", phase("Succeeded"));
    expect(await logOf(node, "bounded")).toContain(`${1 << 20}\n`);
    const claim = await node.client.get(claimRef("bounded"));
    const { backingFile = "" } = node.volumes.describe(claim?.metadata.uid ?? "") ?? {};
    expect((await stat(join(backingFile, "big"))).size).toBe(1 << 20);
  });
});

test.skipIf(!isRoot)("a loop device goes with the last that holds it", async () => {
  const node = await startTestNode();
  try {
    const { backingPath, createBacking } = await import("../../../src/embedded/volumes/backing.ts");
    const path = backingPath(join(node.dir, "volumes"), "lone", "Block", "device");
    await createBacking(path, 1 << 20);
    const loop = await attachLoop(path);
    expect(await loopsOf((file) => file === path)).toEqual([loop.path]);
    await loop.release();
    expect(await loopsOf((file) => file === path)).toEqual([]);
  } finally {
    await node.close();
  }
});
