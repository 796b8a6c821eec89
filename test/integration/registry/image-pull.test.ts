// Images pulled for the node out of a real registry: what lies in the folder at the end, and what is said when they cannot be had.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pullImage } from "../../../importer/pull/pull-image.ts";
import type { PullRequest } from "../../../src/contract/image-pull.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { buildImage, buildIndex, diskImage, packLayer, sha256, type BuiltImage } from "../../support/container-disk.ts";
import { seededBytes } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import { noRegistry, startRegistry, type Registry } from "../../support/registry.ts";

const disk = seededBytes(200_000, "pulled");
const login = { user: "maria", password: "open" };
const release: (() => Promise<void>)[] = [];
let plain: Registry;
let secured: Registry;
let two: readonly BuiltImage[];

async function pull(image: string, more: Partial<PullRequest> = {}) {
  const folder = await makeFolder("cdi-pull-");
  const request = { image, folder, insecureRegistries: [], auths: [], have: [], ...more };
  const { signal } = new AbortController();
  const answer = await pullImage(request, { proxy: {}, log: silentLog, signal });
  return { folder, answer };
}
const pulled = async (image: string, more: Partial<PullRequest> = {}) => {
  const { folder, answer } = await pull(image, more);
  if (!("pulled" in answer)) throw new Error(answer.failed.message);
  return { folder, ...answer.pulled };
};
const filesIn = async (folder: string): Promise<string[]> => (await readdir(folder, { recursive: true })).sort();

describe.skipIf(noRegistry !== undefined)("images for the node", () => {
  beforeAll(async () => {
    const atEnd = (act: () => Promise<void>): number => release.push(act);
    plain = await startRegistry({}, atEnd);
    secured = await startRegistry({ store: plain.store, basic: login }, atEnd);
    const one = await diskImage(disk, { env: ["A=1", "B=x=y"], kind: "docker" });
    await plain.push("vm/disk", "1", one);
    const layers = [
      await packLayer({ "disk/": "", "disk/old.img": "old", "etc/": "", "etc/kept": "kept" }),
      await packLayer({ "disk/.wh.old.img": "", "disk/disk.img": disk }),
    ];
    await plain.push("vm/layers", "1", buildImage({ layers, form: "zstd" }));
    const builds = ["amd64", "arm64"].map((architecture) => diskImage(Buffer.from(architecture), { architecture }));
    two = await Promise.all(builds);
    await plain.push("vm/two", "1", buildIndex(two));
    await plain.push("vm/artifact", "1", buildImage({ layers: [], artifactType: "application/x" }));
    const spoiled = await diskImage(seededBytes(100_000, "spoiled"), { form: "plain" });
    await plain.push("vm/spoiled", "1", spoiled);
    await plain.spoil(spoiled.layers[0]?.digest ?? "", -1);
  });
  afterAll(async () => {
    for (const act of release.reverse()) await act();
  });

  test("one layer, with what the image says of itself", async () => {
    const { folder, digest, id, sizeBytes, config } = await pulled(`${plain.host}/vm/disk:1`);
    expect((await readFile(join(folder, "root/disk/disk.img"))).equals(disk)).toBe(true);
    expect(id).toBe(`${plain.host}/vm/disk@${digest}`);
    expect(sizeBytes).toBe(disk.length);
    expect(config).toEqual({ entrypoint: [], command: [], env: ["A=1", "B=x=y"], workingDir: "", user: "" });
    // By its digest, and by tag and digest, it is the same; and nothing is fetched that is there.
    for (const name of [`@${digest}`, `:1@${digest}`]) {
      const again = await pulled(`${plain.host}/vm/disk${name}`, { have: [digest] });
      expect(again).toMatchObject({ digest, id, sizeBytes: 0 });
      expect(await filesIn(again.folder)).toEqual([]);
    }
  });

  test("several layers", async () => {
    const { folder } = await pulled(`${plain.host}/vm/layers:1`);
    expect(await filesIn(folder)).toEqual(["root", "root/disk", "root/disk/disk.img", "root/etc", "root/etc/kept"]);
  });

  test("of an index the architecture that is asked for", async () => {
    const { folder, digest, id } = await pulled(`${plain.host}/vm/two:1`, { architecture: "arm64" });
    expect(await readFile(join(folder, "root/disk/disk.img"), "utf8")).toBe("arm64");
    expect({ digest, isSame: id.endsWith(digest) }).toEqual({ digest: two[1]?.digest, isSame: false });
  });

  test("with credentials of a docker config", async () => {
    const auth = Buffer.from(`${login.user}:${login.password}`).toString("base64");
    const auths = [JSON.stringify({ auths: {} }), JSON.stringify({ auths: { [secured.host]: { auth } } })];
    const { folder } = await pulled(`${secured.host}/vm/disk:1`, { auths });
    expect((await readFile(join(folder, "root/disk/disk.img"))).length).toBe(disk.length);
  });

  test.each([
    { when: "no such tag", name: "vm/disk:2", kind: "pull", says: /^failed to pull image: / },
    { when: "another digest", name: `vm/disk@${sha256(disk)}`, kind: "pull", says: /^failed to pull image: / },
    {
      when: "another architecture",
      name: "vm/two:1",
      kind: "pull",
      says: /no image found in image index/,
      of: "s390x",
    },
    { when: "an artifact", name: "vm/artifact:1", kind: "pull", says: /artifact/ },
    { when: "a layer that is not what its digest says", name: "vm/spoiled:1", kind: "pull", says: /has the digest/ },
    { when: "no name", name: "VM/Disk:1", kind: "name", says: /invalid reference format/ },
    { when: "a transport", name: "docker://vm/disk", kind: "name", says: /invalid reference format/ },
  ])("$when: told, and of which kind", async ({ name, kind, says, of }) => {
    const { answer } = await pull(`${plain.host}/${name}`, of ? { architecture: of } : {});
    expect(answer).toMatchObject({ failed: { kind, message: expect.stringMatching(says) as string } });
  });

  test("a registry without TLS that is not this machine's own by its name: only where it is listed", async () => {
    // The same registry, by a name that is no loopback address as it is written.
    const host = plain.host.replace("127.0.0.1", "127.1");
    const { answer } = await pull(`${host}/vm/disk:1`);
    expect(answer).toMatchObject({ failed: { kind: "pull" } });
    const { folder } = await pulled(`${host}/vm/disk:1`, { insecureRegistries: [host] });
    expect(await filesIn(folder)).toEqual(["root", "root/disk", "root/disk/disk.img"]);
  });

  test("without credentials where they are wanted", async () => {
    const { answer } = await pull(`${secured.host}/vm/disk:1`);
    expect(answer).toMatchObject({ failed: { kind: "pull", message: expect.stringContaining("401") as string } });
  });
});
