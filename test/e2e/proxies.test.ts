// Imports through a proxy that CDIConfig names: to http and https, with and without credentials, and its authority.
import { gzipSync } from "node:zlib";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { dataVolumeOf, diskOf, history, holdsImage, phaseIs, startCluster } from "../support/cluster.ts";
import { startProxyServer } from "../support/http-proxy-server.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { makeFolder } from "../support/loop.ts";
import { runText } from "../support/run-text.ts";
import { markedSecret } from "../support/secret-scan.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(6 * mib, 40, 52);
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);
let cluster: Embedded;
let plain: HttpTestServer;
let secure: HttpTestServer;
/** No resolver knows it: only through the proxy is it found. */
const host = "files.cdi.test";

beforeAll(async () => {
  cluster = await startCluster(atEnd);
  const folder = await makeFolder("cdi-proxies-", atEnd);
  await writeFile(join(folder, "a"), image);
  await runText("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", join(folder, "a"), join(folder, "b")]);
  const files = { "/a.img": image, "/a.qcow2": await readFile(join(folder, "b")), "/a.iso.gz": gzipSync(image) };
  plain = await startHttpServer({ files }, "keep");
  secure = await startHttpServer({ files, tls: true }, "keep");
  for (const server of [plain, secure]) atEnd(() => server.close());
}, 60_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

/** The proxies of all imports from now on. Waits until they are in force. */
async function proxyThrough(importProxy: Record<string, string>): Promise<void> {
  const ref = { kind: kinds.cdiConfig, name: "config" };
  await cluster.client.patch(ref, { spec: { importProxy: null } }, { type: "merge" });
  await cluster.client.patch(ref, { spec: { importProxy } }, { type: "merge" });
  await expect.poll(async () => (await cluster.client.get(ref))?.["status"]).toMatchObject({ importProxy });
}

const putMap = (namespace: string, name: string, data: Record<string, string>): Promise<unknown> =>
  cluster.client.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name }, data }, kinds.configMap);

async function importsThe(name: string, url: string, http: Record<string, unknown> = {}): Promise<void> {
  await cluster.client.create(dataVolumeOf({ name, url, size: "16Mi", http }), kinds.dataVolume);
  const states = await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded", "Failed"));
  expect(states.at(-1)?.status?.phase).toBe("Succeeded");
  expect(holdsImage((await diskOf(cluster, name)) as Buffer, image)).toBe(true);
}

const auth = { user: "user", password: `pass word ${markedSecret("proxy")}` };
const credentials = `${auth.user}:${encodeURIComponent(auth.password)}@`;
test.each(
  ["img", "qcow2", "iso.gz"].flatMap((form) => [
    { form, as: "anybody", proxyAuth: {}, by: "" },
    { form, as: "one with a password", proxyAuth: { auth }, by: credentials },
  ]),
)("$form over http, as $as", async ({ form, proxyAuth, by }) => {
  const proxy = await startProxyServer(proxyAuth);
  await proxyThrough({ HTTPProxy: `http://${by}127.0.0.1:${proxy.port}` });
  const name = `http-${form.replace(".", "-")}-${by === "" ? "open" : "auth"}`;
  await importsThe(name, `http://${host}:${plain.port}/a.${form}`);
  expect(proxy.seen.some((line) => line.includes(`${host}:${plain.port}/a.${form}`))).toBe(true);
});

test.each(["img", "qcow2", "iso.gz"])("%s over https, with the source's authority in the DataVolume", async (form) => {
  const proxy = await startProxyServer({ auth });
  await proxyThrough({ HTTPSProxy: `http://${credentials}127.0.0.1:${proxy.port}` });
  const name = `https-${form.replace(".", "-")}`;
  await putMap("default", name, { "ca.pem": secure.ca });
  await importsThe(name, `https://${host}:${secure.port}/a.${form}`, { certConfigMap: name });
  expect(proxy.seen).toContain(`CONNECT ${host}:${secure.port}`);
});

test("the authority that CDIConfig names is enough for https", async () => {
  const proxy = await startProxyServer();
  await putMap("cdi", "trusted", { "ca.pem": secure.ca });
  await proxyThrough({ HTTPSProxy: `http://127.0.0.1:${proxy.port}`, trustedCAProxy: "trusted" });
  await importsThe("trusting", `https://${host}:${secure.port}/a.img`);
  expect(proxy.seen).toContain(`CONNECT ${host}:${secure.port}`);
});
