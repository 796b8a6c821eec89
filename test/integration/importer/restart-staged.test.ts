// SIGKILL of the real importer while it fetches an image into scratch space: started again over the same scratch space it goes on
// where it was, and trusts nothing there that is not what was fetched. Counted in the server's own record of bytes sent.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { sentBytes, startHttpServer, type HttpTestServer } from "../../support/http-server.ts";
import { makeRawImage } from "../../support/images.ts";
import { anEnv, ensureBuilt, makeFolder, makePod, MiB, startImporter, type Pod, type Ran } from "./world.ts";

const raw = makeRawImage(64 * MiB, 60, 9, 2 * MiB);
const other = makeRawImage(64 * MiB, 60, 10, 2 * MiB);
const files: Record<string, Buffer> = {};
let folder: { path: string; remove: () => Promise<void> };
const formats = ["vmdk", "vdi", "vhdx", "vpc", "qed"];

beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  const make = async (bytes: Buffer, name: string, format: string): Promise<Buffer> => {
    const path = join(folder.path, name);
    await writeFile(path, bytes);
    // vpc: else the size is rounded up to a geometry.
    const options = format === "vpc" ? ["-o", "force_size=on"] : [];
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, path, `${path}.${format}`]);
    return await readFile(`${path}.${format}`);
  };
  for (const format of formats) files[`/disk.${format}`] = await make(raw, "disk", format);
  files["/other.vmdk"] = await make(other, "other", "vmdk");
}, 120_000);
afterAll(() => folder.remove());

const scratchPath = (pod: Pod): string => pod.at("/scratch/tmpimage");
const checkpointPath = (pod: Pod): string => `${scratchPath(pod)}.checkpoint`;

async function savedBytes(pod: Pod): Promise<number> {
  const text = await readFile(checkpointPath(pod), "utf8").catch(() => "{}");
  return (JSON.parse(text) as { inputBytes?: number }).inputBytes ?? 0;
}

interface World {
  path: string;
  server: HttpTestServer;
  pod: Pod;
  checksum: string;
}

async function aWorld(path: string, checksum = ""): Promise<World> {
  const pod = await makePod({ scratch: true });
  onTestFinished(() => pod.remove());
  return { path, checksum, pod, server: await startHttpServer({ files: { ...files } }) };
}

const start = ({ pod, server, path, checksum }: World, ownerUid = "owner-1"): ReturnType<typeof startImporter> =>
  startImporter(pod, anEnv({ endpoint: server.url(path), imageSize: "128Mi", checksum, ownerUid }));

const sumOf = (bytes: Buffer = raw): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** A checkpoint comes after 2 MiB, and what a socket holds is no part of it. */
async function killAt(world: World, share: number): Promise<void> {
  const { server, path, pod } = world;
  const endBytes = Math.floor((files[path]?.length ?? 0) * share);
  server.faults = { cutAtByte: endBytes };
  const first = start(world);
  await expect
    .poll(() => savedBytes(pod), { timeout: 60_000, interval: 2 })
    .toBeGreaterThanOrEqual(Math.max(1, endBytes - 8 * MiB));
  first.kill("SIGKILL");
  await first.ended;
  server.faults = {};
}

async function expectDisk({ pod }: World, ran: Ran, bytes = raw): Promise<void> {
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { message: "Import Complete" } });
  const disk = await readFile(pod.at("/data/disk.img"));
  expect(disk.subarray(0, bytes.length).equals(bytes)).toBe(true);
  expect(disk.subarray(bytes.length).every((byte) => byte === 0)).toBe(true);
  expect([await readdir(pod.at("/data")), await readdir(pod.at("/scratch"))]).toEqual([["disk.img"], []]);
}

const rows = formats.flatMap((format) => {
  const all = [0.3, 0.6, 0.9].map((share, index) => ({ path: `/disk.${format}`, share, isChecked: index === 1 }));
  // The others end the same way for each place: two of them are for the long run.
  return format === "vmdk" || process.env.CDI_TEST_LONG === "1" ? all : all.slice(1, 2);
});

describe("killed while it fetches into scratch space, started again over the same", () => {
  test.each(rows)(
    "$path at $share of it, checked $isChecked",
    { timeout: 60_000 },
    async ({ path, share, isChecked }) => {
      const file = files[path] ?? raw;
      const world = await aWorld(path, isChecked ? sumOf(file) : "");
      await killAt(world, share);
      const ran = await start(world).ended;
      await expectDisk(world, ran);
      expect(ran.log).toContain("Resuming");
      const twice = sentBytes(world.server) - file.length;
      console.log(`${path} at ${share}: sent twice ${(twice / MiB).toFixed(1)} MiB`);
      expect(twice).toBeLessThan(file.length * 0.02 + 16 * MiB);
    },
  );

  test(
    "twice, over the joints the wrong checksum is still told, and nothing is left",
    { timeout: 90_000 },
    async () => {
      const world = await aWorld("/disk.vmdk", sumOf(Buffer.from("x")));
      await killAt(world, 0.4);
      await killAt(world, 0.7);
      const ran = await start(world).ended;
      expect(ran.message).toMatchObject({ message: expect.stringContaining("checksum mismatch") });
      expect([await readdir(world.pod.at("/data")), await readdir(world.pod.at("/scratch"))]).toEqual([[], []]);
    },
  );
});

interface Trick {
  when: string;
  /** Between the kill and the next start. @returns the disk that is to come of it, where it is another */
  act: (world: World) => Promise<Buffer | void>;
  ownerUid?: string;
}

const tricks: Trick[] = [
  {
    when: "the file at the source changed",
    act: ({ server, path }) => {
      server.files[path] = files["/other.vmdk"] ?? raw;
      return Promise.resolve(other);
    },
  },
  {
    when: "another address is asked for",
    act: (world) => {
      world.path = "/other.vmdk";
      return Promise.resolve(other);
    },
  },
  { when: "it is another DataVolume's", act: () => Promise.resolve(), ownerUid: "owner-2" },
  {
    when: "a byte in the middle is another",
    async act({ pod }) {
      const bytes = await readFile(scratchPath(pod));
      bytes.writeUInt8(bytes.readUInt8(3 * MiB) ^ 1, 3 * MiB);
      await writeFile(scratchPath(pod), bytes);
    },
  },
  {
    when: "it is garbage of the same length",
    async act({ pod }) {
      const { length } = await readFile(scratchPath(pod));
      await writeFile(scratchPath(pod), Buffer.alloc(length, "garbage"));
    },
  },
  {
    when: "it is shorter than is told",
    act: async ({ pod }) => await truncate(scratchPath(pod), (await savedBytes(pod)) - 1),
  },
  { when: "its checkpoint is garbage", act: ({ pod }) => writeFile(checkpointPath(pod), "{}") },
  {
    when: "its checkpoint tells of more than was fetched",
    async act({ pod }) {
      const said = JSON.parse(await readFile(checkpointPath(pod), "utf8")) as { inputBytes: number };
      const more = said.inputBytes + 1000;
      await writeFile(checkpointPath(pod), JSON.stringify({ ...said, inputBytes: more, outputBytes: more }));
    },
  },
];

describe("what lies in scratch space is not trusted, all of it is fetched again, when", () => {
  test.each(tricks)("$when", { timeout: 60_000 }, async ({ act, ownerUid }) => {
    const world = await aWorld("/disk.vmdk");
    await killAt(world, 0.6);
    const disk = await act(world);
    const before = sentBytes(world.server);
    const ran = await start(world, ownerUid).ended;
    await expectDisk(world, ran, disk ?? raw);
    expect(ran.log).not.toContain("Resuming");
    const whole = world.server.files[world.path]?.length ?? 0;
    expect(sentBytes(world.server) - before).toBeGreaterThanOrEqual(whole);
  });
});

test("what is longer than is told is cut to it and gone on with", { timeout: 60_000 }, async () => {
  const world = await aWorld("/disk.vdi");
  await killAt(world, 0.6);
  await writeFile(scratchPath(world.pod), Buffer.alloc(80 * MiB, 1), { flag: "a" });
  const ran = await start(world).ended;
  await expectDisk(world, ran);
  expect(ran.log).toContain("Resuming");
});
