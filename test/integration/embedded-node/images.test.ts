// The store of images others made: who shares a pull, what is kept for whom, and what becomes of a pull that goes wrong. The program
// that pulls is a stand-in here: a shell that answers what the request's image name says.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { openImages, PullFailed, type Images, type ImageWanted } from "../../../src/embedded/images/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { makeFolder } from "../../support/loop.ts";

const patient = { timeout: 10_000 };
let dir: string;
let log: string;
let images: Images;

/** Writes what it was asked to `log`, waits for `gate` where the image says so, and answers with the digest in `digest`. */
const standIn = `
const { existsSync, readFileSync, appendFileSync, mkdirSync } = require("node:fs");
const [work] = process.argv.slice(1);
const request = JSON.parse(readFileSync(0, "utf8"));
appendFileSync(work + "/log", JSON.stringify({ pid: process.pid, isOpen: existsSync(work + "/gate"), ...request }) + "\\n");
const config = { entrypoint: [], command: [], env: [], workingDir: "", user: "" };
function answer() {
  if (request.image.startsWith("gated") && !existsSync(work + "/gate")) return void setTimeout(answer, 10);
  if (request.image === "crash") throw new Error("out of luck");
  if (request.image === "absent") return void console.log(JSON.stringify({ failed: { kind: "pull", message: "not there" } }));
  const digest = readFileSync(work + "/digest", "utf8");
  if (!request.have.includes(digest)) mkdirSync(request.folder + "/root");
  console.log(JSON.stringify({ pulled: { digest, id: "host/repo@" + digest, sizeBytes: 1, config } }));
}
answer();
`;

beforeEach(async () => {
  const work = await makeFolder("cdi-images-");
  dir = join(work, "images");
  log = join(work, "log");
  await writeFile(log, "");
  await writeFile(join(work, "digest"), "sha256:a");
  images = await openImages({
    dir,
    puller: [process.execPath, "-e", standIn, work],
    insecureRegistries: () => Promise.resolve(["insecure:5000"]),
    log: silentLog,
  });
});

const wanted = (image: string, more: Partial<ImageWanted> = {}): ImageWanted => ({
  image,
  policy: "IfNotPresent",
  auths: [],
  ...more,
});
const hold = (user: string, what: ImageWanted, signal = new AbortController().signal) => {
  let pulls = 0;
  const held = images.hold(what, { user, signal, onPull: () => (pulls += 1) });
  return held.then(({ image, isFresh }) => ({ root: image.root, isFresh, pulls }));
};
const asked = async (): Promise<
  { pid: number; isOpen: boolean; image: string; have: string[]; insecureRegistries: string[] }[]
> =>
  (await readFile(log, "utf8"))
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Awaited<ReturnType<typeof asked>>[number]);
const open = (): Promise<void> => writeFile(join(dir, "../gate"), "");
const digest = (value: string): Promise<void> => writeFile(join(dir, "../digest"), value);

test("two pods that want one image at once pull it once, and it stays until the second is done", async () => {
  const both = Promise.all([hold("one", wanted("gated")), hold("two", wanted("gated"))]);
  await expect.poll(async () => (await asked()).length, patient).toBe(1);
  await open();
  const [one, two] = await both;
  expect({ one: one.isFresh, two: two.isFresh, pulls: [one.pulls, two.pulls] }).toEqual({
    one: true,
    two: false,
    pulls: [1, 0],
  });
  expect(one.root).toBe(two.root);
  expect((await asked())[0]).toMatchObject({ image: "gated", insecureRegistries: ["insecure:5000"], have: [] });
  await images.letGo("one");
  expect(await readdir(one.root)).toEqual([]);
  await images.letGo("two");
  expect(await readdir(dir)).toEqual([]);
});

test("Always asks again: the same digest is shared, another one comes beside it", async () => {
  const always = wanted("latest", { policy: "Always" });
  const first = await hold("one", always);
  const same = await hold("two", always);
  expect({ isFresh: same.isFresh, isSame: same.root === first.root, pulls: same.pulls }).toEqual({
    isFresh: false,
    isSame: true,
    pulls: 1,
  });
  await digest("sha256:b");
  const other = await hold("three", always);
  expect(other.isFresh).toBe(true);
  expect((await asked()).map(({ have }) => have)).toEqual([[], ["sha256:a"], ["sha256:a"]]);
  // Whoever wants what there is gets what the name meant last.
  expect((await hold("four", wanted("latest"))).root).toBe(other.root);
  expect(await readdir(dir)).toHaveLength(2);
  for (const user of ["one", "two"]) await images.letGo(user);
  expect(await readdir(dir)).toHaveLength(1);
});

test("what a pull counts on is let go meanwhile: it pulls for itself", async () => {
  await hold("one", wanted("first"));
  const second = hold("two", wanted("gated"));
  await expect.poll(async () => (await asked()).length, patient).toBe(2);
  await images.letGo("one");
  await open();
  const { root, isFresh } = await second;
  expect({ isFresh, files: await readdir(root) }).toEqual({ isFresh: true, files: [] });
  expect((await asked()).map(({ have }) => have)).toEqual([[], ["sha256:a"], []]);
});

test("another architecture is another image", async () => {
  await hold("one", wanted("multi"));
  await digest("sha256:b");
  expect((await hold("one", wanted("multi", { architecture: "arm64" }))).isFresh).toBe(true);
  expect(await readdir(dir)).toHaveLength(2);
});

test.each([
  { when: "the registry says no", image: "absent", reason: "ErrImagePull", says: /^not there$/ },
  { when: "the program breaks", image: "crash", reason: "ErrImagePull", says: /ended with exit status 1/ },
])("$when: told, and nothing is left", async ({ image, reason, says }) => {
  const failure: unknown = await hold("one", wanted(image)).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(PullFailed);
  expect(failure).toMatchObject({ reason, message: expect.stringMatching(says) as string });
  expect(await readdir(dir)).toEqual([]);
});

test("a pod that ends stops its pull, and the next one in line goes on", async () => {
  const ending = new AbortController();
  const first = hold("one", wanted("gated"), ending.signal);
  first.catch(() => undefined); // awaited below
  await expect.poll(async () => (await asked()).length, patient).toBe(1);
  const second = hold("two", wanted("gated"));
  ending.abort(new Error("the pod is being ended"));
  await expect(first).rejects.toThrow("the pod is being ended");
  const pid = (await asked())[0]?.pid ?? 0;
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  await open();
  expect((await second).isFresh).toBe(true);
  expect(await readdir(dir)).toHaveLength(1);
});

test("a pod that ends while it waits for another's pull ends at once", async () => {
  const ending = new AbortController();
  const first = hold("one", wanted("gated"));
  await expect.poll(async () => (await asked()).length, patient).toBe(1);
  const second = hold("two", wanted("gated"), ending.signal);
  ending.abort(new Error("the pod is being ended"));
  await expect(second).rejects.toThrow("the pod is being ended");
  await open();
  await first;
  await images.letGo("one");
  expect(await readdir(dir)).toEqual([]);
});

test("four at a time, the others in line", async () => {
  const names = Array.from({ length: 6 }, (_, index) => `gated-${index}`);
  const all = Promise.all(names.map((name, index) => hold(name, wanted(`${name}:${index}`))));
  await expect.poll(async () => (await asked()).length, patient).toBe(4);
  await open();
  await all;
  expect((await asked()).map(({ image }) => image.slice(0, 7)).toSorted()).toEqual(names);
  expect((await asked()).map(({ isOpen }) => isOpen)).toEqual([false, false, false, false, true, true]);
});

test("what was there before is removed, and a killed node's pull dies with it", async () => {
  await mkdir(join(dir, "old/root"), { recursive: true });
  const script = `
    import { openImages } from ${JSON.stringify(join(import.meta.dirname, "../../../src/embedded/images/index.ts"))};
    const [dir, work, puller] = process.argv.slice(1);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const images = await openImages({ dir, puller: [process.execPath, "-e", puller, work], insecureRegistries: async () => [], log });
    const wanted = { image: "gated", policy: "IfNotPresent", auths: [] };
    await images.hold(wanted, { user: "one", signal: new AbortController().signal, onPull() {} });`;
  const args = ["--input-type=module", "-e", script, dir, join(dir, ".."), standIn];
  const node = spawn(process.execPath, args, { stdio: "inherit" });
  const exited = once(node, "exit");
  await expect.poll(async () => (await asked()).length, patient).toBe(1);
  expect(await readdir(dir)).toHaveLength(1);
  node.kill("SIGKILL");
  await exited;
  const pid = (await asked())[0]?.pid ?? 0;
  await expect.poll(() => isAlive(pid), patient).toBe(false);
});

const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""); // gone
  return status !== "" && !/^State:\tZ/m.test(status);
};
