// DataVolumes beside claims, classes and volumes that were prepared for them, or that are not there yet: what is filled, what is
// taken as it is, and what waits. On one embedded cluster.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { Claim } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { dataVolumeOf, diskOf, history, holdsImage, isReady, phaseIs, startCluster } from "../support/cluster.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { makeFolder } from "../support/loop.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(6 * mib, 40, 52);
const release: (() => Promise<void>)[] = [];
let cluster: Embedded;
let server: HttpTestServer;

beforeAll(async () => {
  cluster = await startCluster((act) => release.push(act), { maxRunning: 4 });
  server = await startHttpServer({ files: { "/a.img": image } }, "keep");
  release.push(() => server.close());
}, 60_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

const claimOf = (name: string) =>
  cluster.client.get({ kind: kinds.claim, namespace: "default", name }) as Promise<Claim | undefined>;
const create = (object: KubeObject) => cluster.client.create(object, kinds.dataVolume);
const until = (name: string, is: (dv: DataVolume) => boolean): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, is);
const holds = async (name: string): Promise<boolean> =>
  holdsImage((await diskOf(cluster, name)) ?? Buffer.alloc(0), image);

const sources = {
  import: () => ({ http: { url: server.url("/a.img") } }),
  upload: () => ({ upload: {} }),
};
type SourceName = keyof typeof sources;
const names = Object.keys(sources) as SourceName[];

const volumeFrom = (source: SourceName, name: string, more: object, own: Record<string, string> = {}): KubeObject => ({
  apiVersion: kinds.dataVolume.apiVersion,
  kind: kinds.dataVolume.kind,
  metadata: { name, namespace: "default", annotations: own },
  spec: { source: sources[source](), ...more },
});
const plain = { pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } } };

async function makeClaim(name: string, own: Record<string, string>): Promise<string> {
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { namespace: "default", name, annotations: own },
    spec: plain.pvc,
  };
  return (await cluster.client.create(object, kinds.claim)).metadata.uid ?? "";
}

async function makeVolume(name: string, storageClassName: string, more: object = {}): Promise<void> {
  const path = await makeFolder("cdi-volume-", (act) => release.push(act));
  const [capacity, accessModes] = [{ storage: "32Mi" }, ["ReadWriteOnce"]];
  const volume: KubeObject = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: { capacity, accessModes, volumeMode: "Filesystem", storageClassName, local: { path }, ...more },
  };
  await cluster.client.create(volume, kinds.volume);
}

/**
 * Until the controller knows all volumes that are free by now: it hears of them in their order, and makes this claim, which names no
 * access mode, of the last.
 */
async function untilVolumesAreSeen(name: string): Promise<void> {
  const storageClassName = `${name}-last`;
  const storage = { storageClassName, resources: { requests: { storage: "1Mi" } } };
  await create(volumeFrom("upload", storageClassName, { storage }));
  await makeVolume(`of-${storageClassName}`, storageClassName);
  await history<Claim>(cluster, kinds.claim, storageClassName, () => true);
}

/** Nothing was filled: neither a worker nor a word of one. */
async function expectTaken(name: string, uid: string): Promise<void> {
  const isBound = ({ status }: Claim): boolean => status?.phase === "Bound";
  const claim = (await history<Claim>(cluster, kinds.claim, name, isBound)).at(-1);
  await until(name, isReady);
  expect(claim?.metadata.uid).toBe(uid);
  expect(claim?.metadata.ownerReferences).toMatchObject([{ kind: "DataVolume", name, controller: true }]);
  expect(claim?.metadata.annotations?.[annotations.podPhase]).toBeUndefined();
  const { items } = await cluster.client.list(kinds.pod, { namespace: "default" });
  expect(items.map(({ metadata }) => metadata.name).filter((pod) => pod?.endsWith(`-${name}`))).toEqual([]);
  expect(await diskOf(cluster, name)).toBeUndefined();
}

describe.concurrent("a claim prepared for its DataVolume", () => {
  test.each(names)("populatedFor: one of %s takes it as it is", async (source) => {
    const name = `prepared-${source}`;
    const uid = await makeClaim(name, { [annotations.populatedFor]: name });
    await create(volumeFrom(source, name, plain));
    await until(name, phaseIs("Succeeded"));
    await expectTaken(name, uid);
  });

  test.each(names)("prePopulated: one of %s makes none and waits for it", async (source) => {
    const name = `awaited-${source}`;
    await create(volumeFrom(source, name, plain, { [annotations.prePopulated]: name }));
    await until(name, phaseIs("Pending"));
    expect(await claimOf(name)).toBeUndefined();
    const uid = await makeClaim(name, { [annotations.populatedFor]: name });
    await until(name, phaseIs("Succeeded"));
    await expectTaken(name, uid);
  });

  test.each(names)("allowClaimAdoption: one of %s takes it, under its own identity", async (source) => {
    const name = `adopted-${source}`;
    const uid = await makeClaim(name, {});
    await create(volumeFrom(source, name, plain, { [annotations.allowClaimAdoption]: "true" }));
    await until(name, phaseIs("Succeeded"));
    await expectTaken(name, uid);
  });

  test.for(names)("checkStaticVolume: one of %s takes the volume that names it", async (source, { expect }) => {
    const name = `static-${source}`;
    await makeVolume(`of-${name}`, "local", { claimRef: { namespace: "default", name } });
    const volume = { kind: kinds.volume, name: `of-${name}` };
    const isFree = { timeout: 30_000 };
    await expect.poll(() => cluster.client.get(volume), isFree).toMatchObject({ status: { phase: "Available" } });
    await untilVolumesAreSeen(name);
    await create(volumeFrom(source, name, plain, { [annotations.checkStaticVolume]: "" }));
    await until(name, phaseIs("Succeeded"));
    const claim = (await claimOf(name)) as Claim;
    expect(claim.spec.volumeName).toBe(`of-${name}`);
    expect(claim.metadata.annotations?.[annotations.persistentVolumeList]).toBeUndefined();
    await expectTaken(name, claim.metadata.uid ?? "");
  });

  test("allowClaimAdoption, and there is none: it is made and filled", async () => {
    await create(volumeFrom("import", "adopts-nothing", plain, { [annotations.allowClaimAdoption]: "true" }));
    await until("adopts-nothing", phaseIs("Succeeded"));
    expect(await holds("adopts-nothing")).toBe(true);
  });
});

test.each([
  // required(64Mi) at 0.06 is ceil(67108864 * 1.06), not aligned again.
  { when: "Filesystem: inflated", mode: "Filesystem", request: "71135396" },
  { when: "Block: as asked", mode: "Block", request: "67108864" },
  { when: "no mode, the profile's: inflated", mode: undefined, request: "71135396" },
])("spec.storage of an upload, $when", async ({ mode, request }) => {
  const name = `size-${String(mode).toLowerCase()}`;
  const storage = { resources: { requests: { storage: "64Mi" } }, ...(mode ? { volumeMode: mode } : {}) };
  await create(volumeFrom("upload", name, { storage }));
  await until(name, phaseIs("UploadReady"));
  const { spec } = (await claimOf(name)) as Claim;
  expect(spec).toMatchObject({ volumeMode: mode ?? "Filesystem", resources: { requests: { storage: request } } });
  await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name });
});

describe.concurrent("a class that is not there, with access modes", () => {
  test.each([{ asStorage: false }, { asStorage: true }])(
    "the claim waits for the class, asStorage $asStorage",
    async ({ asStorage }) => {
      const [name, storageClass] = [`by-class-${asStorage}`, `class-${asStorage}`];
      await create(waiting(name, storageClass, asStorage));
      await until(name, phaseIs("Pending"));
      expect(await claimOf(name)).toMatchObject({ status: { phase: "Pending" } });
      const base = await cluster.client.get({ kind: kinds.storageClass, name: "local" });
      const { apiVersion, kind } = kinds.storageClass;
      const { provisioner, volumeBindingMode } = base as KubeObject;
      await cluster.client.create(
        { apiVersion, kind, metadata: { name: storageClass }, provisioner, volumeBindingMode },
        kinds.storageClass,
      );
      await until(name, phaseIs("Succeeded"));
      expect(await holds(name)).toBe(true);
    },
  );

  test.each([{ asStorage: false }, { asStorage: true }])(
    "the claim waits for a volume of that name, asStorage $asStorage",
    async ({ asStorage }) => {
      const [name, storageClassName] = [`by-volume-${asStorage}`, `hand-made-${asStorage}`];
      await create(waiting(name, storageClassName, asStorage));
      await until(name, phaseIs("Pending"));
      expect(await claimOf(name)).toMatchObject({ status: { phase: "Pending" } });
      await makeVolume(`of-${name}`, storageClassName);
      await until(name, phaseIs("Succeeded"));
      expect(await holds(name)).toBe(true);
      expect(((await claimOf(name)) as Claim).spec.volumeName).toBe(`of-${name}`);
    },
  );
});

/** With `spec.storage` or `spec.pvc`, and an access mode in either. */
function waiting(name: string, storageClassName: string, asStorage: boolean): KubeObject {
  const wished = dataVolumeOf({ name, url: server.url("/a.img"), size: "16Mi", storageClass: storageClassName });
  const { pvc, ...spec } = wished["spec"] as { pvc: object };
  return { ...wished, spec: { ...spec, [asStorage ? "storage" : "pvc"]: pvc } };
}
