// Images of a real registry by way of a forward proxy: with its credentials, without, and where no_proxy keeps it out.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { HttpSourceSettings } from "../../../importer/sources/index.ts";
import { registrySource } from "../../../importer/sources/registry/index.ts";
import type { Source } from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { bring, failureOf, makePlace } from "../../support/bring.ts";
import { diskImage } from "../../support/container-disk.ts";
import { startProxyServer } from "../../support/http-proxy-server.ts";
import { makeRawImage } from "../../support/images.ts";
import { noRegistry, startRegistry, type Registry } from "../../support/registry.ts";
import { markedSecret } from "../../support/secret-scan.ts";

const auth = { user: "proxy-user", password: markedSecret("proxy") };

function sourceOf(url: string, proxy: HttpSourceSettings["proxy"]): Source {
  const plain = { headers: [], secretHeaders: [], ca: [], insecure: true, log: silentLog };
  const source = registrySource({ ...plain, url, proxy });
  onTestFinished(() => source.close());
  return source;
}

/** Of its own name: "localhost" and the like go to no proxy. */
const named = ({ host }: Registry): string => `registry.cdi.test:${host.split(":")[1]}`;

describe.skipIf(noRegistry !== undefined)("an image by way of a proxy", () => {
  const ends: (() => Promise<void>)[] = [];
  const disk = makeRawImage(2 * 2 ** 20, 6, 9);
  let plain: Registry;
  let secured: Registry;
  beforeAll(async () => {
    const atEnd = (end: () => Promise<void>): void => void ends.unshift(end);
    plain = await startRegistry({}, atEnd);
    secured = await startRegistry({ store: plain.store, tls: true }, atEnd);
    await plain.push("vm/disk", "1", await diskImage(disk));
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });

  test.each([
    { when: "plain HTTP", registry: () => plain, isPlain: true, as: "with credentials", proxyAuth: { auth } },
    { when: "HTTPS", registry: () => secured, isPlain: false, as: "with credentials", proxyAuth: { auth } },
    { when: "plain HTTP", registry: () => plain, isPlain: true, as: "for anybody", proxyAuth: {} },
    { when: "HTTPS", registry: () => secured, isPlain: false, as: "for anybody", proxyAuth: {} },
  ])("a registry of $when through a proxy $as", async ({ registry, isPlain, proxyAuth }) => {
    const proxy = await startProxyServer(proxyAuth);
    const by = "auth" in proxyAuth ? `${auth.user}:${encodeURIComponent(auth.password)}@` : "";
    const address = `http://${by}127.0.0.1:${proxy.port}`;
    const host = named(registry());
    const place = await makePlace();
    const source = sourceOf(`docker://${host}/vm/disk:1`, { http: address, https: address });
    expect(await bring(source, place, { scratch: "none" })).toMatchObject({ kind: "done" });
    expect((await place.disk()).equals(disk)).toBe(true);
    expect(proxy.seen).toContain(isPlain ? `GET http://${host}/v2/vm/disk/manifests/1` : `CONNECT ${host}`);
    expect(proxy.seen.every((line) => line.includes(host))).toBe(true);
  });

  test.each([
    { when: "without credentials", login: "" },
    { when: "with wrong ones", login: `${auth.user}:${markedSecret("wrong")}@` },
  ])("$when the proxy lets nothing through, and no credentials are told", async ({ login }) => {
    const proxy = await startProxyServer({ auth });
    const address = `http://${login}127.0.0.1:${proxy.port}`;
    const place = await makePlace();
    const source = sourceOf(`docker://${named(secured)}/vm/disk:1`, { http: address, https: address });
    const failure = await failureOf(bring(source, place));
    expect(failure.code).toBe("SourceRefused");
    expect(failure.message).toMatch(/^failed to pull image: .*407/);
    expect(failure.message).not.toContain("S3CR3T");
    expect(await place.left()).toEqual([]);
  });

  test("a registry that no_proxy names is gone to directly", async () => {
    const proxy = await startProxyServer();
    const address = `http://127.0.0.1:${proxy.port}`;
    const place = await makePlace();
    const source = sourceOf(`docker://${plain.host}/vm/disk:1`, {
      http: address,
      https: address,
      noProxy: "127.0.0.1",
    });
    expect(await bring(source, place, { scratch: "none" })).toMatchObject({ kind: "done" });
    expect(proxy.seen).toEqual([]);
  });
});
