// The proxy with real TLS on both sides and curl in front, before a stand-in of the upload server: each check's answer word for
// word and in its order, bytes untouched, both sides' hang-ups passed on, certificates renewed in place.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { cdiConfigName } from "../../../src/api/cdi-config.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { uploadClaims } from "../../../src/contract/token.ts";
import { uploadClientName } from "../../../src/contract/upload-routes.ts";
import { removeDir, temporaryDir } from "../../support/cdi-up.ts";
import { runText } from "../../support/run-text.ts";
import { proxyUnderTest, readyTarget, type ProxyUnderTest } from "../../support/upload-proxy.ts";
import { readAll, type StandIn } from "../../support/upload-stand-in.ts";

const release: (() => Promise<void>)[] = [];
let world: ProxyUnderTest;
let dir: string;
let usual: StandIn["answer"];
const body = randomBytes(3 * 1024 * 1024 + 17);
const digest = createHash("sha256").update(body).digest("hex");

beforeAll(async () => {
  world = await proxyUnderTest((act) => release.push(act));
  usual = world.standIn.answer;
  dir = await temporaryDir();
  release.push(() => removeDir(dir));
  await writeFile(join(dir, "body"), body);
  await writeFile(join(dir, "ca.pem"), world.ca);
  await world.claim("disk", readyTarget);
});
beforeEach(() => {
  world.standIn.answer = usual;
  world.standIn.seen.length = 0;
});
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

interface Said {
  code: number;
  text: string;
  headers: string;
}
/** curl against the proxy's CA; the status, the body and the head of the last answer. */
async function curl(path: string, ...args: string[]): Promise<Said> {
  const headers = join(dir, "headers");
  const words = ["-sS", "--cacert", join(dir, "ca.pem"), "-D", headers, "-w", "\n%{http_code}", ...args];
  const out = await runText("curl", [...words, `${world.url}${path}`]);
  const at = out.lastIndexOf("\n");
  const { readFile } = await import("node:fs/promises");
  return { code: Number(out.slice(at + 1)), text: out.slice(0, at), headers: await readFile(headers, "utf8") };
}
const bearer = (token: string): string[] => ["-H", `Authorization: Bearer ${token}`];
const send = ["-T", "DIR/body", "-X", "POST"];
const sending = (): string[] => send.map((word) => word.replace("DIR", dir));

test("bytes arrive untouched, with our certificate, and headers pass", async () => {
  const token = await world.token();
  const said = await curl("/v1beta1/upload?x=1", ...bearer(token), ...sending(), "-H", "X-Extra: kept");
  expect(said).toMatchObject({ code: 200, text: "" });
  const [seen] = world.standIn.seen;
  expect(seen).toMatchObject({ method: "POST", url: "/v1beta1/upload", client: uploadClientName, complete: true });
  expect(seen).toMatchObject({ bytes: body.length, sha256: digest });
  expect(seen?.headers).toMatchObject({
    authorization: `Bearer ${token}`,
    "x-extra": "kept",
    "content-length": String(body.length),
  });
});

test("a body of unknown length stays of unknown length", async () => {
  const said = await curl(
    "/v1beta1/upload-async",
    ...bearer(await world.token()),
    ...sending(),
    "-H",
    "Transfer-Encoding: chunked",
  );
  expect(said.code).toBe(200);
  expect(world.standIn.seen.at(-1)).toMatchObject({ bytes: body.length, sha256: digest });
  expect(world.standIn.seen.at(-1)?.headers["content-length"]).toBeUndefined();
});

const tampered = (token: string): string => {
  const [head = "", , signature = ""] = token.split(".");
  const claims = { ...uploadClaims("default", "other"), iss: "cdi-apiserver", nbf: 0, exp: 4_000_000_000 };
  return [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
};

test.each<{ when: string; path?: string; auth: () => Promise<string[]>; code: number; text?: string }>([
  { when: "no token", auth: async () => Promise.resolve([]), code: 400 },
  { when: "another scheme", auth: async () => Promise.resolve(["-u", "a:b"]), code: 400 },
  { when: "a token with odd characters", auth: async () => Promise.resolve(bearer("a b")), code: 400 },
  { when: "no such token", auth: async () => Promise.resolve(bearer("abc.def.ghi")), code: 401 },
  {
    when: "an expired token",
    auth: async () => bearer(await world.token("disk", { nowMs: Date.now() - 311_000 })),
    code: 401,
  },
  { when: "a tampered token", auth: async () => bearer(tampered(await world.token())), code: 401 },
  {
    when: "a token to clone",
    auth: async () =>
      bearer(await world.token("disk", { claims: { ...uploadClaims("default", "disk"), operation: "Clone" } })),
    code: 400,
  },
  {
    when: "a claim that is not there",
    auth: async () => bearer(await world.token("none")),
    code: 503,
    text: "rejecting Upload Request for PVC none that doesn&#39;t exist",
  },
  {
    when: "a claim that is no target",
    auth: async () => {
      await world.claim("plain", {});
      return bearer(await world.token("plain"));
    },
    code: 503,
    text: "PVC plain is not an upload target",
  },
  {
    when: "a claim that has its disk",
    auth: async () => {
      await world.claim("done", { ...readyTarget, [annotations.podPhase]: "Succeeded" });
      return bearer(await world.token("done"));
    },
    code: 503,
    text: "rejecting Upload Request for PVC done that already finished uploading",
  },
  {
    when: "no such path",
    path: "/v1beta1/upload-archive",
    auth: async () => bearer(await world.token()),
    code: 404,
    text: "404 page not found\n",
  },
])("$when: $code, and the server hears nothing", async ({ auth, path = "/v1beta1/upload", code, text = "" }) => {
  expect(await curl(path, ...(await auth()), ...sending())).toMatchObject({ code, text });
  expect(world.standIn.seen).toEqual([]);
});

test("a server that is not ready is waited for", async () => {
  await world.claim("tree", { [annotations.uploadTarget]: "", [annotations.contentType]: "archive" });
  const answer = curl("/v1beta1/upload-async", ...bearer(await world.token("tree")), ...sending());
  await world.claim("tree", readyTarget);
  expect((await answer).code).toBe(200);
  expect(world.standIn.seen.at(-1)?.url).toBe("/v1beta1/upload-archive");
});

test("any method passes, and the server's answer comes back as it is", async () => {
  world.standIn.answer = (_request, response) =>
    void response.writeHead(409, { "x-server": "yes", "content-type": "text/html" }).end("no & never");
  const got = await curl("/v1alpha1/upload", ...bearer(await world.token()), "-X", "GET");
  expect(got).toMatchObject({ code: 409, text: "no & never" });
  expect(got.headers).toMatch(/x-server: yes/i);
  world.standIn.answer = (_request, response) => void response.writeHead(200).end();
  const last = await curl("/v1alpha1/upload", ...bearer(await world.token()), "-X", "GET", "-H", "Connection: close");
  expect(last.headers).toMatch(/^connection: close/im);
  const head = await curl("/v1alpha1/upload-async", ...bearer(await world.token()), "-I");
  expect(head.code).toBe(200);
  expect(world.standIn.seen.map(({ method }) => method)).toEqual(["GET", "GET", "HEAD"]);
});

test("a server that does not know our certificate's authority: its answer, and a word in the log", async () => {
  world.standIn.answer = (_request, response) => void response.writeHead(401).end();
  expect(await curl("/v1beta1/upload", ...bearer(await world.token()), "-X", "POST", "-d", "x")).toMatchObject({
    code: 401,
  });
  await expect.poll(() => world.warnings).toEqual([expect.stringContaining("delete its pod")]);
});

test("a refusal before the body's end reaches a client that is still sending", async () => {
  world.standIn.answer = (_request, response) => void response.writeHead(503).end("busy");
  await writeFile(join(dir, "big"), Buffer.alloc(64 * 1024 * 1024));
  const said = await curl("/v1beta1/upload", ...bearer(await world.token()), "-X", "POST", "-T", join(dir, "big"));
  expect(said).toMatchObject({ code: 503, text: "busy" });
});

test("a server that is not there: 502", async () => {
  await world.claim("elsewhere", readyTarget);
  const said = await curl("/v1beta1/upload", ...bearer(await world.token("elsewhere")), ...sending());
  expect(said.code).toBe(502);
  expect(said.text).toMatch(/^error in upload-proxy: .*(altnames|does not match)/i);
});

test("a client that hangs up is hung up on at the server", async () => {
  const ended = Promise.withResolvers<boolean>();
  const begun = Promise.withResolvers<void>();
  world.standIn.answer = async (request, _response, seen) => {
    request.once("data", () => begun.resolve());
    await readAll(request, seen).catch(() => undefined);
    ended.resolve(request.complete);
  };
  const headers = { authorization: `Bearer ${await world.token()}`, "content-length": String(body.length) };
  const call = httpsRequest(`${world.url}/v1beta1/upload`, { method: "POST", ca: world.ca, headers, agent: false });
  call.on("error", () => undefined);
  call.write(body.subarray(0, body.length / 2));
  await begun.promise;
  call.destroy();
  expect(await ended.promise).toBe(false);
});

test("a server that breaks off breaks the client off", async () => {
  world.standIn.answer = (request, response) => {
    request.once("data", () => response.destroy());
  };
  const said = await curl("/v1beta1/upload", ...bearer(await world.token()), ...sending());
  expect(said.code).toBe(502);
  // Told to go on by the server, it is still sending: with its connection it would lose the answer.
  expect(said.headers).toContain("100 Continue");
  expect(said.headers).not.toMatch(/^connection: close/im);
});

test.each([
  { when: "the proxy's own", auth: () => Promise.resolve("abc.def.ghi"), code: 401 },
  { when: "the server's", auth: () => world.token(), code: 400 },
])(
  "an early answer, $when, does not end the connection of a client that is sending, and wanted it closed",
  async (row) => {
    world.standIn.answer = (request, response) => {
      request.once("data", () => response.writeHead(400).end("too large"));
      request.resume();
    };
    const headers = {
      authorization: `Bearer ${await row.auth()}`,
      "content-length": String(body.length),
      connection: "close",
    };
    const call = httpsRequest(`${world.url}/v1beta1/upload`, { method: "POST", ca: world.ca, headers, agent: false });
    call.on("error", () => undefined); // it is broken off in the end
    const answered = once(call, "response") as Promise<[IncomingMessage]>;
    call.write(body.subarray(0, body.length / 2));
    const [answer] = await answered;
    expect([answer.statusCode, answer.headers.connection]).toEqual([row.code, "keep-alive"]);
    call.destroy();
  },
);

const piece = Buffer.alloc(1024 * 1024);

/** Writes until the road is full and has stayed full for a while, or so many bytes are sent. @returns bytes sent */
async function fill(to: Writable, size: number): Promise<number> {
  for (let sent = 0, full = false; ; sent += piece.length) {
    if (full || sent >= size) return sent;
    if (to.write(piece)) continue;
    const drained = once(to, "drain").then(() => false);
    const still = new Promise<boolean>((resolve) => setTimeout(resolve, 1500, true));
    full = await Promise.race([drained, still]);
  }
}

async function sendRest(to: Writable, sent: number, size: number): Promise<void> {
  for (; sent < size; sent += piece.length) if (!to.write(piece)) await once(to, "drain");
}

test("back pressure: what the server does not read is not read from the client", async () => {
  const go = Promise.withResolvers<void>();
  world.standIn.answer = async (request, response, seen) => {
    await go.promise;
    await readAll(request, seen);
    response.writeHead(200).end();
  };
  const size = 256 * 1024 * 1024;
  const headers = { authorization: `Bearer ${await world.token()}`, "content-length": String(size) };
  const call = httpsRequest(`${world.url}/v1beta1/upload`, { method: "POST", ca: world.ca, headers, agent: false });
  const answered = once(call, "response") as Promise<[IncomingMessage]>;
  const sent = await fill(call, size);
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  go.resolve();
  await sendRest(call, sent, size);
  call.end();
  const [response] = await answered;
  response.resume();
  expect(response.statusCode).toBe(200);
  expect(world.standIn.seen.at(-1)?.bytes).toBe(size);
});

test("a refusal while the road is full: what the client goes on sending is thrown away, and its connection serves on", async () => {
  const go = Promise.withResolvers<void>();
  world.standIn.answer = async (_request, response) => {
    await go.promise;
    response.writeHead(503).end("busy");
  };
  const size = 96 * 1024 * 1024;
  const { hostname, port } = new URL(world.url);
  const socket = connect({ host: hostname, port: Number(port), ca: world.ca });
  await once(socket, "secureConnect");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  const head = `POST /v1beta1/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await world.token()}\r\n`;
  socket.write(`${head}content-length: ${size}\r\n\r\n`);
  const sent = await fill(socket, size);
  expect(sent).toBeLessThan(size);
  go.resolve();
  // Not read, it would be cut off after a while, which fails here.
  await sendRest(socket, sent, size);
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  while (!/ 200 OK\r\n[^]*OK$/.test(text)) await once(socket, "data");
  expect(text).toMatch(/^HTTP\/1\.1 503 [^]*busy/);
  socket.destroy();
});

test("100-continue is the server's to give", async () => {
  const said = await curl(
    "/v1beta1/upload",
    ...bearer(await world.token()),
    ...sending(),
    "-H",
    "Expect: 100-continue",
  );
  expect(said.code).toBe(200);
  expect(said.headers).toMatch(/^HTTP\/1.1 100 /);
  expect(world.standIn.seen.at(-1)?.sha256).toBe(digest);
  const refused = await curl("/v1beta1/upload", ...sending(), "-H", "Expect: 100-continue");
  expect(refused.code).toBe(400);
  expect(refused.headers).not.toMatch(/ 100 /);
});

test("a browser may ask, and reads the answers", async () => {
  const asked = ["-X", "OPTIONS", "-H", "Origin: https://a.test", "-H", "Access-Control-Request-Method: PATCH"];
  const preflight = await curl("/v1beta1/upload-tus", ...asked, "-H", "Access-Control-Request-Headers: upload-offset");
  expect(preflight.code).toBe(200);
  expect(preflight.headers).toMatch(/access-control-allow-origin: \*/i);
  expect(preflight.headers).toMatch(/access-control-allow-methods: PATCH/i);
  expect(preflight.headers).toMatch(/access-control-allow-headers: upload-offset/i);
  world.standIn.answer = (_request, response) =>
    void response.writeHead(201, { location: "upload-tus/1", "access-control-allow-origin": "x" }).end();
  const made = await curl(
    "/v1beta1/upload-tus",
    ...bearer(await world.token()),
    "-X",
    "POST",
    "-H",
    "Origin: https://a.test",
  );
  expect(made.code).toBe(201);
  expect(made.headers).toMatch(/location: upload-tus\/1/i);
  expect(made.headers.match(/access-control-allow-origin: (\S+)/gi)).toEqual(["access-control-allow-origin: *"]);
  expect(made.headers).toMatch(/access-control-expose-headers: Location, Upload-Offset/i);
});

test("health needs no token", async () => {
  expect(await curl("/healthz")).toMatchObject({ code: 200, text: "OK" });
});

const serialOf = async (options: object = {}): Promise<{ serial: string; protocol: string | null }> => {
  const socket: TLSSocket = connect({ host: "localhost", port: world.proxy.port, ca: world.ca, ...options });
  await once(socket, "secureConnect");
  const about = { serial: socket.getPeerCertificate().serialNumber, protocol: socket.getProtocol() };
  socket.destroy();
  return about;
};

test("a renewed certificate is in use with the next connection", async () => {
  const before = await serialOf();
  const renewed = await world.issueServing();
  world.serving.texts = [renewed.certificate, renewed.key];
  world.proxy.renew();
  expect((await serialOf()).serial).not.toBe(before.serial);
});

test("the TLS profile is the configuration's, as it is now", async () => {
  const ref = { kind: kinds.cdiConfig, name: cdiConfigName };
  const config = { apiVersion: kinds.cdiConfig.apiVersion, kind: "CDIConfig", metadata: { name: cdiConfigName } };
  await world.client.create({ ...config, spec: {} }, kinds.cdiConfig);
  expect((await serialOf({ maxVersion: "TLSv1.2" })).protocol).toBe("TLSv1.2");
  await world.client.patch(ref, { spec: { tlsSecurityProfile: { type: "Modern" } } }, { type: "merge" });
  await expect
    .poll(() =>
      serialOf({ maxVersion: "TLSv1.2" }).then(
        () => "open",
        () => "refused",
      ),
    )
    .toBe("refused");
  expect((await serialOf()).protocol).toBe("TLSv1.3");
  await world.client.patch(ref, { spec: { tlsSecurityProfile: null } }, { type: "merge" });
});
