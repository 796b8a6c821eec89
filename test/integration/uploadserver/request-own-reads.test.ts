// Bodies that are read off a TLS connection past the parser: the same bytes, the same end, and the connection serves on; whatever
// the client does in the middle, the request hears of it as of any other.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { takeRequestBody } from "../../../src/lib/request-own-reads.ts";
import type { KeyedCertificate } from "../../../src/pki/index.ts";
import { authorityNow, certificateNow } from "../../support/upload-stand-in.ts";

const MiB = 1024 * 1024;
const long = randomBytes(20 * MiB + 12_345);
const other = randomBytes(9 * MiB + 1);
const short = randomBytes(MiB);
const sumOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
let pair: KeyedCertificate;
let ca: string;

beforeAll(async () => {
  const authority = await authorityNow("taken");
  ca = authority.certificate;
  pair = await certificateNow(authority, "taken.test", "server", { dnsNames: ["taken.test"] });
});

interface Heard {
  taken: boolean;
  bytes: number;
  sum: string;
  complete: boolean;
}
type Reader = (request: IncomingMessage, chunk: Buffer, count: number) => void;

interface Server {
  readonly heard: Heard[];
  client(): Promise<TLSSocket>;
  /** Of all requests so far, once there are so many. */
  ended(count: number): Promise<Heard[]>;
}

/** Answers each request with its body's sum once it has closed or ended. */
async function startServer(
  read: Reader = () => undefined,
  early?: string,
  before: () => Promise<unknown> = turn,
): Promise<Server> {
  const heard: Heard[] = [];
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await before();
    const taken = takeRequestBody(request);
    const sum = createHash("sha256");
    let [bytes, count] = [0, 0];
    if (early) response.end(early);
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      sum.update(chunk);
      read(request, chunk, (count += 1));
    });
    request.on("error", () => undefined);
    await new Promise((resolve) => request.once("end", resolve).once("close", resolve));
    const one = { taken, bytes, sum: sum.digest("hex"), complete: request.complete };
    heard.push(one);
    if (!early) response.end(one.sum);
  }
  const server = createServer({ key: pair.key, cert: pair.certificate }, (...both) => void serve(...both));
  onTestFinished(() => server.closeAllConnections());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => void server.close());
  return {
    heard,
    async client() {
      const socket = connect({ host: "127.0.0.1", port, ca, servername: "taken.test" });
      onTestFinished(() => void socket.destroy());
      socket.on("error", () => undefined);
      await once(socket, "secureConnect");
      return socket;
    },
    async ended(count) {
      await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(count);
      return heard;
    },
  };
}

const post = (body: Buffer, more = ""): Buffer =>
  Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n${more}\r\n`), body]);

/** All that was answered so far. */
function answersOf(socket: TLSSocket): () => string {
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}
const whole = (bytes: Buffer, taken = true): Heard => ({
  taken,
  bytes: bytes.length,
  sum: sumOf(bytes),
  complete: true,
});

test.each<{ situation: string; read?: Reader; before?: () => Promise<unknown> }>([
  { situation: "read as it comes" },
  { situation: "taken as soon as a promise is settled", before: () => Promise.resolve() },
  {
    situation: "paused now and then",
    read: (request, _, count) => {
      if (count % 50 !== 0) return;
      request.pause();
      setTimeout(() => request.resume(), count % 3);
    },
  },
  {
    situation: "paused with every piece",
    read: (request) => {
      request.pause();
      setImmediate(() => request.resume());
    },
  },
])("several bodies over one connection, $situation", async ({ read, before }) => {
  const server = await startServer(read, undefined, before);
  const client = await server.client();
  const answers = answersOf(client);
  const bodies = [long, short, other, Buffer.alloc(0), long];
  for (const [index, body] of bodies.entries()) {
    client.write(post(body));
    await server.ended(index + 1);
    await expect.poll(answers).toContain(sumOf(body));
  }
  expect(server.heard).toEqual(bodies.map((body) => whole(body, body.length > 8 * MiB)));
});

test("what comes right behind a body, in the same record, is the next request", async () => {
  const server = await startServer();
  const client = await server.client();
  client.write(Buffer.concat([post(long), post(other), post(short)]));
  expect(await server.ended(3)).toMatchObject([whole(long), { sum: sumOf(other) }, { sum: sumOf(short) }]);
});

test("a client that sends its end right behind the body gets its answer as from any server of node", async () => {
  const server = await startServer();
  const client = await server.client();
  client.end(post(long));
  expect(await server.ended(1)).toEqual([whole(long)]);
});

test.each(["end", "destroy"] as const)("a client that leaves in the middle by %s", async (how) => {
  const server = await startServer();
  const client = await server.client();
  client.write(post(long).subarray(0, 12 * MiB));
  await expect.poll(() => client.writableLength).toBe(0);
  if (how === "end") client.end();
  else client.destroy();
  const [one] = await server.ended(1);
  expect(one).toMatchObject({ taken: true, complete: false });
  expect(one?.bytes).toBeLessThan(long.length);
});

test("of one that is paused nothing more is read than a connection holds", async () => {
  let request: IncomingMessage | undefined;
  const server = await startServer((one, _, count) => {
    if (count === 1) (request = one).pause();
  });
  const client = await server.client();
  client.write(post(Buffer.concat([long, long, long])));
  await expect.poll(() => request?.socket.isPaused()).toBe(true);
  const before = request?.socket.bytesRead ?? 0;
  for (let turns = 0; turns < 100; turns += 1) await turn();
  expect(request?.socket.bytesRead).toBe(before);
  expect(request?.readableLength).toBeLessThan(MiB);
  request?.resume();
  expect(await server.ended(1)).toEqual([whole(Buffer.concat([long, long, long]))]);
});

test("a request that is answered before its body has ended reaches its end, and the connection serves on", async () => {
  const server = await startServer(undefined, "early");
  const client = await server.client();
  const answers = answersOf(client);
  client.write(post(long));
  client.write(post(short));
  expect(await server.ended(2)).toEqual([whole(long), whole(short, false)]);
  await expect.poll(answers).toMatch(/early.*early/s);
});

test("many requests behind a body, whose answers nobody reads for a while: each is answered in the end", async () => {
  const server = await startServer(undefined, "early".repeat(40_000));
  const client = await server.client();
  client.write(post(long));
  const count = 300;
  client.write(Buffer.concat(Array.from({ length: count }, () => post(Buffer.from("x")))));
  client.write(post(other));
  await expect.poll(() => server.heard.length).toBeGreaterThan(0);
  let bytes = 0;
  client.on("data", (chunk: Buffer) => (bytes += chunk.length));
  const heard = await server.ended(count + 2);
  expect(heard.map(({ sum }) => sum).sort()).toEqual(
    [long, other, ...Array.from({ length: count }, () => Buffer.from("x"))].map(sumOf).sort(),
  );
  await expect.poll(() => bytes).toBeGreaterThan((count + 2) * 200_000);
});

test.each([
  { what: "a short body", head: `content-length: ${short.length}`, body: short },
  {
    what: "chunks",
    head: "transfer-encoding: chunked",
    body: Buffer.concat([Buffer.from(`${long.length.toString(16)}\r\n`), long, Buffer.from("\r\n0\r\n\r\n")]),
  },
])("$what: node reads it", async ({ head, body }) => {
  const server = await startServer();
  const client = await server.client();
  client.write(Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\n${head}\r\n\r\n`), body]));
  const [one] = await server.ended(1);
  expect(one).toMatchObject({ taken: false, complete: true });
});
