// The way to the server: TLS, redirects, proxies, and connections that do not come to be.
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { httpClient } from "../../../src/lib/http.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { issueCertificate, makeAuthority, selfSigned } from "../../../src/pki/index.ts";
import { ownCertificate, startHttpServer } from "../../support/http-server.ts";
import { startProxyServer } from "../../support/http-proxy-server.ts";
import { drain, someBytes } from "../../support/source-suite.ts";
import { never, sourceOf, testHosts } from "./http-support.ts";

const body = someBytes(100_000);
const files = { "/disk.img": body };
const hour = 3_600_000;
const now = Date.now();
const wanted = {
  commonName: "x",
  ips: ["127.0.0.1"],
  usages: ["server"] as const,
  notBefore: now - hour,
  notAfter: now + hour,
};

describe("TLS", () => {
  test.each([
    { when: "an unknown authority", change: {}, trusts: false, code: "UnknownAuthority" },
    { when: "a certificate past its end", change: { notAfter: now - 1000 }, trusts: true, code: "CertificateExpired" },
    {
      when: "a certificate before its start",
      change: { notBefore: now + hour / 2 },
      trusts: true,
      code: "CertificateExpired",
    },
    { when: "another host's certificate", change: { ips: ["127.0.0.9"] }, trusts: true, code: "CertificateWrongName" },
  ])("$when is $code, and passes when insecure", async ({ change, trusts, code }) => {
    const authority = await makeAuthority("ca", hour, systemClock);
    const tls = await issueCertificate(authority, { ...wanted, ...change });
    const server = await startHttpServer({ files, tls });
    const url = server.url("/disk.img");
    const ca = trusts ? [authority.certificate] : [];
    await expect(sourceOf(url, { ca }).facts(never())).rejects.toMatchObject({ name: "Fault", code });
    expect(server.requests).toEqual([]);
    expect(await sourceOf(url, { insecure: true }).facts(never())).toMatchObject({ sizeBytes: body.length });
  });

  test("a self-signed certificate is an unknown authority, and good when it is itself trusted", async () => {
    const tls = await selfSigned(wanted);
    const server = await startHttpServer({ files, tls });
    const url = server.url("/disk.img");
    await expect(sourceOf(url).facts(never())).rejects.toMatchObject({ code: "UnknownAuthority" });
    expect(await sourceOf(url, { ca: [tls.certificate] }).facts(never())).toMatchObject({ sizeBytes: body.length });
  });

  test("the right one among several authorities is found", async () => {
    const other = await makeAuthority("other", hour, systemClock);
    const server = await startHttpServer({ files, tls: true });
    const source = sourceOf(server.url("/disk.img", "name.cdi.test"), { ca: [other.certificate, server.ca] });
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
  });

  test("https to a port that speaks http is TlsFailed", async () => {
    const server = await startHttpServer({ files });
    const url = server.url("/disk.img").replace("http:", "https:");
    await expect(sourceOf(url).facts(never())).rejects.toMatchObject({ code: "TlsFailed" });
  });
});

describe("redirects", () => {
  const settings = { username: new Secret("me"), password: new Secret("pw"), headers: ["X-Key: k"] };
  const private_ = { authorization: "Basic bWU6cHc=", "x-key": "k" };

  test("within the origin everything travels along", async () => {
    const server = await startHttpServer({
      files,
      requiredHeaders: private_,
      redirects: { "/a": "/b", "/b": "/disk.img" },
    });
    const source = sourceOf(server.url("/a"), settings);
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
    await drain(await source.open(10, never()));
    const paths = server.requests.map(({ path, status }) => `${path} ${status}`);
    expect(paths).toEqual(["/a 302", "/b 302", "/disk.img 206", "/disk.img 206"]);
  });

  test("to another origin credentials and custom headers stay behind, later requests included", async () => {
    const mirror = await startHttpServer({ files });
    const server = await startHttpServer({ redirects: { "/disk.img": mirror.url("/disk.img?sig=s") } });
    const source = sourceOf(server.url("/disk.img"), settings);
    await drain(await source.open(0, never()));
    await drain(await source.open(10, never()));
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.headers).toMatchObject(private_);
    expect(mirror.requests).toHaveLength(2);
    for (const { headers } of mirror.requests) {
      expect(headers).toMatchObject({ range: expect.any(String), "user-agent": "cdi-golang-importer" });
      expect([headers.authorization, headers["x-key"]]).toEqual([undefined, undefined]);
    }
  });

  test("a refusal there says what was held back", async () => {
    const mirror = await startHttpServer({ files, auth: { user: "me", password: "pw" } });
    const server = await startHttpServer({ redirects: { "/disk.img": mirror.url("/disk.img") } });
    const asking = sourceOf(server.url("/disk.img"), settings).facts(never());
    await expect(asking).rejects.toMatchObject({ code: "SourceUnauthorized" });
    await expect(asking).rejects.toThrow(
      /^expected status code 200, got 401\. Status: 401 Unauthorized\. The server redirected/,
    );
  });

  test("from http up to https on the same host everything travels along", async () => {
    const secure = await startHttpServer({ files, tls: true, requiredHeaders: private_ });
    const server = await startHttpServer({ redirects: { "/disk.img": secure.url("/disk.img") } });
    const source = sourceOf(server.url("/disk.img"), { ...settings, ca: [secure.ca] });
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
  });

  test("from https down to http nothing private travels along", async () => {
    const plain = await startHttpServer({ files });
    const server = await startHttpServer({ tls: true, redirects: { "/disk.img": plain.url("/disk.img") } });
    const source = sourceOf(server.url("/disk.img"), { ...settings, ca: [server.ca] });
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
    expect(plain.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(plain.requests[0]?.headers).not.toHaveProperty("x-key");
  });

  test("a loop is refused", async () => {
    const server = await startHttpServer({ redirects: { "/a": "/b", "/b": "/a" } });
    await expect(sourceOf(server.url("/a")).facts(never())).rejects.toMatchObject({ code: "RedirectRefused" });
    expect(server.requests).toHaveLength(2);
  });

  test("an address that expired is resolved again, once", async () => {
    const mirror = await startHttpServer({ files });
    const server = await startHttpServer({ redirects: { "/disk.img": mirror.url("/disk.img?sig=1") } });
    const source = sourceOf(server.url("/disk.img"));
    await drain(await source.open(0, never()));
    mirror.faults = { status: 403, times: 1 };
    server.redirects = { "/disk.img": mirror.url("/disk.img?sig=2") };
    expect((await drain(await source.open(10, never()))).equals(body.subarray(10))).toBe(true);
    expect(mirror.requests.map(({ path, status }) => `${path} ${status}`)).toEqual([
      "/disk.img?sig=1 206",
      "/disk.img?sig=1 403",
      "/disk.img?sig=2 206",
    ]);
    mirror.faults = { status: 403 };
    await expect(source.open(10, never())).rejects.toMatchObject({ code: "SourceForbidden" });
  });
});

describe("proxies", () => {
  const pass = async (url: string, settings: Parameters<typeof sourceOf>[1]): Promise<boolean> =>
    (await drain(await sourceOf(url, settings).open(0, never()))).equals(body);

  test("plain http goes through, whole URL, and the server sees no proxy secret", async () => {
    const proxy = await startProxyServer({ auth: { user: "p", password: "s@" } });
    const server = await startHttpServer({ files });
    const url = server.url("/disk.img?x=1", "source.cdi.test");
    expect(await pass(url, { proxy: { http: `http://p:s%40@127.0.0.1:${proxy.port}` } })).toBe(true);
    expect(proxy.seen).toEqual([`GET ${url}`]);
    expect(server.requests[0]?.headers).toMatchObject({ host: `source.cdi.test:${server.port}` });
    expect(server.requests[0]?.headers).not.toHaveProperty("proxy-authorization");
  });

  test("https goes through CONNECT, with the server's own certificate", async () => {
    const proxy = await startProxyServer({ auth: { user: "p", password: "s" } });
    const server = await startHttpServer({ files, tls: true });
    const url = server.url("/disk.img", "source.cdi.test");
    const settings = { proxy: { https: `p:s@127.0.0.1:${proxy.port}` }, ca: [server.ca] };
    expect(await pass(url, settings)).toBe(true);
    expect(proxy.seen).toEqual([`CONNECT source.cdi.test:${server.port}`]);
    await expect(sourceOf(url, { ...settings, ca: [] }).facts(never())).rejects.toMatchObject({
      code: "UnknownAuthority",
    });
  });

  test.each(["http", "https"])("a proxy that speaks TLS carries %s when its authority is trusted", async (scheme) => {
    const { ca, pair } = await ownCertificate();
    const proxy = await startProxyServer({ tls: pair });
    const server = await startHttpServer({ files, tls: scheme === "https" });
    const text = `https://proxy.cdi.test:${proxy.port}`;
    const settings = { proxy: { http: text, https: text }, ca: [ca, server.ca].filter(Boolean) };
    expect(await pass(server.url("/disk.img", "source.cdi.test"), settings)).toBe(true);
    expect(proxy.seen).toHaveLength(1);
    const untrusted = sourceOf(server.url("/disk.img", "source.cdi.test"), { ...settings, ca: [] }).facts(never());
    await expect(untrusted).rejects.toMatchObject({ code: "UnknownAuthority" });
  });

  test("no_proxy and loopback go direct", async () => {
    const proxy = await startProxyServer();
    const server = await startHttpServer({ files });
    const settings = { proxy: { http: `127.0.0.1:${proxy.port}`, noProxy: ".test" } };
    expect(await pass(server.url("/disk.img", "source.cdi.test"), settings)).toBe(true);
    expect(await pass(server.url("/disk.img"), { proxy: { http: `127.0.0.1:${proxy.port}` } })).toBe(true);
    expect(proxy.seen).toEqual([]);
  });

  test.each([
    [407, "SourceRefused"],
    [502, "ConnectionFailed"],
  ])("a tunnel refused with %i is %s and shows no secret", async (refuse, code) => {
    const proxy = await startProxyServer({ refuse });
    const settings = { proxy: { https: `http://p:hidden@127.0.0.1:${proxy.port}` } };
    const asking = sourceOf("https://source.cdi.test:1/", settings).facts(never());
    await expect(asking).rejects.toMatchObject({ code });
    await expect(asking).rejects.toThrow(`${refuse} Refused`);
    await expect(asking).rejects.not.toThrow("hidden");
  });
});

describe("no connection", () => {
  test("a name that is not known is HostUnknown", async () => {
    await expect(sourceOf("http://nowhere.invalid/x").facts(never())).rejects.toMatchObject({ code: "HostUnknown" });
  });

  test("a port where nobody listens is ConnectionFailed", async () => {
    const server = await startHttpServer({ files });
    await server.close();
    const asking = sourceOf(server.url("/disk.img?key=hidden")).facts(never());
    await expect(asking).rejects.toMatchObject({ code: "ConnectionFailed" });
    await expect(asking).rejects.not.toThrow("hidden");
  });

  const silent = async (onData: (say: (text: string) => void, end: () => void) => void): Promise<number> => {
    const listener = createServer((socket) => {
      onTestFinished(() => void socket.destroy());
      socket
        .on("error", () => undefined)
        .once("data", () =>
          onData(
            (text) => socket.write(text),
            () => socket.end(),
          ),
        );
    });
    onTestFinished(() => void listener.close());
    await once(listener.listen(0, "127.0.0.1"), "listening");
    return (listener.address() as AddressInfo).port;
  };

  test("a handshake that is never answered ends at the limit", async () => {
    const port = await silent(() => undefined);
    const client = httpClient({ connectTimeoutMs: 200, hosts: testHosts });
    onTestFinished(() => client.close());
    const asking = client.get(`https://a.test:${port}/`, { signal: never() });
    await expect(asking).rejects.toMatchObject({ code: "ConnectionFailed" });
    await expect(asking).rejects.toThrow("took longer than 0.2 s");
  });

  test("an answer that never comes is SourceStalled", async () => {
    const port = await silent(() => undefined);
    const client = httpClient({ headersTimeoutMs: 200 });
    onTestFinished(() => client.close());
    await expect(client.get(`http://127.0.0.1:${port}/`, { signal: never() })).rejects.toMatchObject({
      code: "SourceStalled",
    });
  });

  test("an answer that is not HTTP is ConnectionFailed", async () => {
    const port = await silent((say) => say("SSH-2.0-OpenSSH_9\r\n"));
    await expect(sourceOf(`http://127.0.0.1:${port}/`).facts(never())).rejects.toMatchObject({
      code: "ConnectionFailed",
    });
  });

  test("a connection closed without an answer is SourceCut", async () => {
    const port = await silent((_, end) => end());
    await expect(sourceOf(`http://127.0.0.1:${port}/`).facts(never())).rejects.toMatchObject({ code: "SourceCut" });
  });

  test("what is no http URL is ConfigInvalid", async () => {
    await expect(sourceOf("ftp://h.test/x").facts(never())).rejects.toMatchObject({ code: "ConfigInvalid" });
  });
});
