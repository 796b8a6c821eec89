// Archives on an embedded cluster: unpacked into the claim as the importer's user, plain and compressed, and refused where they
// cannot be.
import { execFileSync } from "node:child_process";
import { chmod, mkdir, open, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { Claim } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { conditionOf, copyTreeOf, dataVolumeOf, history, isReady, phaseIs, startCluster } from "../support/cluster.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { wrap, wrappings } from "../support/images.ts";
import { makeFolder } from "../support/loop.ts";
import { gnuTar } from "../support/tars.ts";

const mib = 1024 * 1024;
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): void => void release.push(act);
let cluster: Embedded;
let server: HttpTestServer;
let tree: string;
let archive: Buffer;

beforeAll(async () => {
  cluster = await startCluster(atEnd);
  tree = await makeFolder("cdi-tree-", atEnd);
  await mkdir(join(tree, "sub", "deep"), { recursive: true });
  await writeFile(join(tree, "plain"), "plain\n");
  await writeFile(join(tree, "sub", "deep", "large"), Buffer.alloc(3 * mib, "0123456789abcde"));
  await symlink("../plain", join(tree, "sub", "soft"));
  await chmod(join(tree, "plain"), 0o604);
  await chmod(join(tree, "sub", "deep"), 0o500);
  const disk = await open(join(tree, "disk.img"), "w");
  await disk.write(Buffer.alloc(mib, 9), 0, mib, 20 * mib);
  await disk.truncate(48 * mib);
  await disk.close();
  archive = gnuTar(tree, ["--sparse", "."]);
  server = await startHttpServer({}, "keep");
  atEnd(() => server.close());
  for (const wrapping of wrappings) server.files[`/a.tar.${wrapping}`] = await wrap(archive, wrapping);
}, 60_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

const shown = (folder: string): string[] =>
  execFileSync(
    "find",
    [".", "-path", "./lost+found", "-prune", "-o", "-mindepth", "1", "-printf", "%p|%y|%m|%l|%s\\n"],
    {
      cwd: folder,
      encoding: "utf8",
    },
  )
    .split("\n")
    .filter((line) => line !== "" && !line.includes("|d|")) // a folder's size is its file system's affair
    .toSorted();

test.each(wrappings)("%s is unpacked into the claim, without scratch space", { timeout: 240_000 }, async (wrapping) => {
  const name = `archive-${wrapping}`;
  const body = server.files[`/a.tar.${wrapping}`] ?? Buffer.alloc(0);
  const checksum = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  const wish = {
    name,
    url: server.url(`/a.tar.${wrapping}`),
    size: "64Mi",
    contentType: "archive",
    http: { checksum },
  } as const;
  await cluster.client.create(dataVolumeOf(wish), kinds.dataVolume);
  const states = await history<DataVolume>(
    cluster,
    kinds.dataVolume,
    name,
    (dv) => phaseIs("Failed")(dv) || isReady(dv),
  );
  expect(states.at(-1)?.status).toMatchObject({ phase: "Succeeded", progress: "100.0%" });
  const folder = await makeFolder();
  await copyTreeOf(cluster, name, folder);
  expect(shown(folder)).toEqual(shown(tree));
  expect((await readFile(join(folder, "sub", "deep", "large"))).equals(Buffer.alloc(3 * mib, "0123456789abcde"))).toBe(
    true,
  );
  expect((await stat(join(folder, "disk.img"))).size).toBe(48 * mib);
  const claim = (await cluster.client.get({ kind: kinds.claim, namespace: "default", name })) as Claim;
  expect(claim.metadata.annotations?.[annotations.contentType]).toBe("archive");
  const claims = await cluster.client.list(kinds.claim, { namespace: "default" });
  expect(claims.items.map(({ metadata }) => metadata.name)).not.toContain(`${name}-scratch`);
});

test("onto a block volume of spec.storage: refused in upstream's words, before anything is made", async () => {
  const object = dataVolumeOf({ name: "block", url: server.url("/a.tar.plain"), size: "64Mi", contentType: "archive" });
  const { pvc, ...spec } = object["spec"] as { pvc: object };
  const wanted = { ...object, spec: { ...spec, storage: { ...pvc, volumeMode: "Block" } } };
  await cluster.client.create(wanted, kinds.dataVolume);
  const isSaid = (dv: DataVolume): boolean => conditionOf(dv, "Bound")?.reason === "ErrClaimNotValid";
  const states = await history<DataVolume>(cluster, kinds.dataVolume, "block", isSaid);
  expect(conditionOf(states.at(-1) as DataVolume, "Bound")?.message).toBe(
    "ContentType Archive cannot have block volumeMode",
  );
});
