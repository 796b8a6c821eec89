// The importer's half of the handshake with the image server: how long it waits, what it believes, when it says that it is done.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { setImmediate as immediately } from "node:timers/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { askServer, servedSource, serverReady, tellServer } from "../../../importer/node-pull/index.ts";
import { faultOf } from "../../../src/lib/faults.ts";
import type { Source } from "../../../src/datapath/index.ts";
import type { HttpClient } from "../../../src/lib/http.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { hastyClock, testClock } from "../../support/test-clock.ts";

async function aFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cdi-ready-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
const shownPath = "/shared/ready";

test("a server that never comes is given up after a minute, with upstream's words", async () => {
  const clock = testClock();
  const startMs = clock.now();
  const path = join(await aFolder(), "ready");
  let ended = false;
  const waiting = serverReady({ path, shownPath, clock, signal: new AbortController().signal })
    .catch(faultOf)
    .finally(() => (ended = true));
  while (!ended) await (clock.sleeping > 0 ? clock.advance(250) : immediately());
  const fault = await waiting;
  expect(fault).toMatchObject({ code: "ImageNotServed", message: "Timeout waiting for file /shared/ready" });
  expect(clock.now() - startMs).toBeGreaterThanOrEqual(60_000);
  expect(clock.now() - startMs).toBeLessThan(62_000);
});

test("a ready file that is still empty is waited for", async () => {
  const path = join(await aFolder(), "ready");
  await writeFile(path, "");
  const waiting = serverReady({ path, shownPath, clock: hastyClock, signal: new AbortController().signal });
  await writeFile(path, "disk.qcow2", { mode: 0o600 });
  expect((await waiting).fileName).toBe("disk.qcow2");
});

test("stopping ends the wait", async () => {
  const stop = new AbortController();
  const path = join(await aFolder(), "ready");
  const waiting = serverReady({ path, shownPath, clock: testClock(), signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});

test.each([
  ["a path", { ready: "../data/disk.img" }, "ImageNotServed", /no file name/],
  ["the folder itself", { ready: ".." }, "ImageNotServed", /no file name/],
  [
    "the server's own fault",
    { failed: JSON.stringify({ code: "NoDiskInImage", message: "image directory is\nempty" }) },
    "NoDiskInImage",
    /^image directory is empty$/,
  ],
  ["a fault nobody knows", { failed: JSON.stringify({ code: "toString", message: "m" }) }, "ImageNotServed", /^m$/],
  ["a failure that is no JSON", { failed: "broken" }, "ImageNotServed", /no reason was told/],
  [
    "a failure that is endless",
    { failed: JSON.stringify({ message: "x".repeat(100_000) }) },
    "ImageNotServed",
    /no reason/,
  ],
])("told at once: %s", async (_, files, code, text) => {
  const folder = await aFolder();
  const path = join(folder, "ready");
  if ("ready" in files) await writeFile(path, files.ready);
  if ("failed" in files) await writeFile(`${path}.failed`, files.failed);
  const fault = await serverReady({ path, shownPath, clock: testClock(), signal: new AbortController().signal }).catch(
    faultOf,
  );
  expect(fault).toMatchObject({ code, message: expect.stringMatching(text) });
});

test.each<[when: string, exit: number, found: string[]]>([
  ["success", 0, ["done"]],
  ["scratch space asked for as v1.56 does", 42, ["done"]],
  ["a failure, after which the importer starts again", 86, []],
])("%s: done files %#", async (_, exit, found) => {
  const root = await aFolder();
  const env = { CDI_ROOT: root, IMPORTER_DONE_FILE: "/done" };
  expect(await tellServer(exit, env, silentLog)).toBe(exit);
  expect(await readdir(root)).toEqual(found);
});

test("without a done file nothing is told, and one that cannot be made is a failure", async () => {
  expect(await tellServer(0, { IMPORTER_DONE_FILE: "" }, silentLog)).toBe(0);
  expect(await tellServer(0, { IMPORTER_DONE_FILE: join(await aFolder(), "no/where") }, silentLog)).toBe(1);
});

/** A client whose every answer is this text. */
const saying = (status: number, text: string): HttpClient => ({
  get: (url) => {
    const body = Readable.from([Buffer.from(text)]);
    const said = { status, statusText: "said", headers: {}, url, redirects: 0, keptPrivate: true };
    return Promise.resolve({ ...said, body: body as never });
  },
  close: () => Promise.resolve(),
});
const ask = async (client: HttpClient) =>
  await askServer(
    "http://localhost:8100/disk.img",
    { fileName: "a b$&.img", since: "7 8" },
    client,
    silentLog,
    new AbortController().signal,
  );
const url = "http://localhost:8100/a%20b%24%26.img";

test.each([
  ["its environment and its file", 200, '{"env":["A_KUBEVIRT_IO_B=c"],"file":"f1"}', { "a.kubevirt.io/b": "c" }, "f1"],
  ["its environment alone, as upstream's", 200, '{"env":["A_KUBEVIRT_IO_B=c",7]}', { "a.kubevirt.io/b": "c" }, "7 8"],
  ["that it knows no such page, as v1.56", 404, "404 page not found", {}, "7 8"],
  ["nonsense", 200, "[", {}, "7 8"],
])("a server that says %s", async (_, status, text, labels, mark) => {
  expect(await ask(saying(status, text))).toEqual({ url, labels, mark });
});

test("what was begun from one image is not gone on with from another: the address is the same for both", () => {
  const source = { name: "n", path: "/disk.img", identity: "at localhost" } as Source;
  const [one, other] = ["f1", "f2"].map((mark) => servedSource(source, { url, labels: {}, mark }).identity);
  expect(one).not.toBe(other);
});
