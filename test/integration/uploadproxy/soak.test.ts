// Many uploads of every kind at once through the proxy's program, good ones and broken ones: each comes to an end, whole bodies
// arrive whole, and when all are over nothing is left: no work for the processor, no descriptor, little memory.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { connect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { uploadClientName } from "../../../src/contract/upload-routes.ts";
import { removeDir, temporaryDir } from "../../support/cdi-up.ts";
import {
  anonymousMib,
  descriptorsOf,
  diskService,
  processSeconds,
  startProxyProgram,
  type ProxyProgram,
} from "../../support/proxy-program.ts";
import { authorityNow, certificateNow, readAll, startStandIn, type StandIn } from "../../support/upload-stand-in.ts";
import { ensureBuilt } from "../importer/world.ts";

const isLong = process.env.CDI_TEST_LONG === "1";
const requests = isLong ? 5000 : 500;
const atOnce = 8;
const KiB = 1024;
/** One body takes 90 MiB (docs/adr/0033); eight at once took 110 to 150. What is looked for is a growth without end. */
const mostMib = 192;
/** Sooner than the stand-in closes what says no more, which would hide a connection the proxy has forgotten. */
const patienceMs = 20_000;

const release: (() => Promise<void>)[] = [];
let proxy: ProxyProgram;
let standIn: StandIn;
let ca: string;
let token: string;
const pool = randomBytes(4096 * KiB);

beforeAll(async () => {
  ensureBuilt();
  const dir = await temporaryDir();
  release.push(() => removeDir(dir));
  const [authority, servers, clients] = await Promise.all([
    authorityNow("proxy"),
    authorityNow("servers"),
    authorityNow("clients"),
  ]);
  ca = authority.certificate;
  standIn = await startStandIn({ authority: servers, clientCa: clients.certificate, dnsNames: [diskService] });
  release.push(() => standIn.close());
  const serving = await certificateNow(authority, "cdi-uploadproxy", "server", { dnsNames: ["localhost"] });
  const identity = await certificateNow(clients, uploadClientName, "client");
  proxy = await startProxyProgram(
    { dir, serving, identity, serverCa: servers.certificate, serverAddress: standIn.address },
    (act) => void release.push(async () => await act()),
  );
  standIn.answer = async (request, response, seen) => {
    const [mood = "", after = "0"] = String(request.headers["x-mood"]).split(" ");
    if (mood === "early") return void response.writeHead(503).end("busy");
    if (mood === "close") return void response.writeHead(409, { connection: "close" }).end("done");
    if (request.headers.expect !== undefined) response.writeContinue();
    let bytes = 0;
    if (mood === "break") {
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes >= Number(after)) request.socket.destroy();
      });
      request.on("error", () => undefined);
      return;
    }
    if (mood === "slow") {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        seen.bytes += chunk.length;
        for (let wait = 0; wait < 5; wait += 1) await turn();
      }
    } else await readAll(request, seen);
    response.writeHead(200, { "x-bytes": String(seen.bytes) }).end();
  };
}, 120_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
}, 120_000);

/** The same numbers for the same seed. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Kind {
  readonly name: string;
  readonly method?: string;
  readonly mostBytes: number;
  readonly mood: (bytes: number, roll: (below: number) => number) => string;
  readonly isChunked?: boolean;
  /** Pieces of at most so many bytes, a turn of the loop between two. */
  readonly pieceBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client breaks off somewhere. */
  readonly vanishes?: boolean;
  readonly status?: readonly (number | "broken")[];
}
const kinds: readonly Kind[] = [
  { name: "short", mostBytes: 2 * KiB, mood: () => "take", status: [200] },
  { name: "long", mostBytes: 4096 * KiB, mood: () => "take", status: [200] },
  { name: "chunked", mostBytes: 1024 * KiB, mood: () => "take", isChunked: true, pieceBytes: 40_000, status: [200] },
  { name: "dripping", mostBytes: 200 * KiB, mood: () => "take", pieceBytes: 1500, status: [200] },
  { name: "read slowly", mostBytes: 2048 * KiB, mood: () => "slow", status: [200] },
  {
    name: "asked for first",
    mostBytes: 64 * KiB,
    mood: () => "take",
    headers: { expect: "100-continue" },
    status: [200],
  },
  { name: "refused early", mostBytes: 2048 * KiB, mood: () => "early", pieceBytes: 100_000, status: [503] },
  { name: "refused and closed", mostBytes: 64 * KiB, mood: () => "close", status: [409, 502] },
  { name: "without a body", method: "GET", mostBytes: 0, mood: () => "take", status: [200] },
  {
    name: "broken off by the server",
    mostBytes: 1024 * KiB,
    mood: (bytes, roll) => `break ${roll(bytes)}`,
    pieceBytes: 100_000,
    status: [502, "broken"],
  },
  { name: "broken off by the client", mostBytes: 1024 * KiB, mood: () => "take", pieceBytes: 30_000, vanishes: true },
  {
    name: "broken off while refused",
    mostBytes: 1024 * KiB,
    mood: () => "early",
    pieceBytes: 30_000,
    vanishes: true,
  },
  {
    name: "broken off while read slowly",
    mostBytes: 2048 * KiB,
    mood: () => "slow",
    pieceBytes: 50_000,
    vanishes: true,
  },
];

async function one(kind: Kind, roll: (below: number) => number, agent: Agent): Promise<void> {
  const bytes = kind.mostBytes === 0 ? 0 : 1 + roll(kind.mostBytes);
  const cut = kind.vanishes ? roll(bytes) : bytes;
  const call = httpsRequest({
    host: "localhost",
    port: proxy.port,
    path: "/v1beta1/upload",
    method: kind.method ?? "POST",
    ca,
    // A connection is used again where it can be.
    agent: kind.vanishes ? false : agent,
    headers: {
      authorization: `Bearer ${token}`,
      "x-mood": kind.mood(bytes, roll),
      ...(bytes === 0 || kind.isChunked ? {} : { "content-length": String(bytes) }),
      ...kind.headers,
    },
  });
  const ended = new Promise<{ status: number | "broken"; taken?: string | undefined }>((resolve) => {
    call.once("error", () => resolve({ status: "broken" }));
    call.once("response", (response: IncomingMessage) => {
      const said = { status: response.statusCode ?? 0, taken: response.headers["x-bytes"] as string | undefined };
      response.once("close", () => resolve(said)).resume();
    });
  });
  // The client that wants an answer to an early refusal goes on sending, as curl does.
  for (let at = 0; at < cut && !call.destroyed;) {
    const piece = pool.subarray(at, Math.min(cut, at + (kind.pieceBytes ?? cut)));
    at += piece.length;
    if (!call.write(piece)) await Promise.race([once(call, "drain").catch(() => undefined), ended]);
    if (kind.pieceBytes !== undefined) await turn();
  }
  if (kind.vanishes) return void call.on("error", () => undefined).destroy();
  call.end();
  const { status, taken } = await ended;
  expect(kind.status, kind.name).toContain(status);
  if (status === 200) expect(taken, kind.name).toBe(String(bytes));
}

/** Half a request, and then the end of what the client sends: nobody can answer that, and nobody may wait for more. */
async function halfClosed(roll: (below: number) => number): Promise<void> {
  const half: ConnectionOptions = { host: "localhost", port: proxy.port, ca };
  const socket = connect(half);
  socket.on("error", () => undefined); // cut by the proxy
  await once(socket, "secureConnect");
  const head = `POST /v1beta1/upload HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\nx-mood: take\r\n`;
  socket.write(`${head}content-length: 100000\r\n\r\n`);
  socket.end(pool.subarray(0, roll(100_000)));
  socket.resume();
  await once(socket, "close");
}

async function run(count: number, seed: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const roll = dice(seed);
  let left = count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const kind = kinds[roll(kinds.length + 1)];
      await (kind ? one(kind, roll, agent) : halfClosed(roll));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  agent.destroy();
}

/** Processor seconds that a second without requests costs. */
async function idleSeconds(): Promise<number> {
  const before = await processSeconds(proxy.pid);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return (await processSeconds(proxy.pid)) - before;
}

test(
  `${requests} uploads of all kinds leave nothing behind`,
  async () => {
    token = await proxy.token();
    await run(40, 1);
    // What a first request loads and opens stays.
    await expect.poll(idleSeconds, { timeout: 60_000 }).toBeLessThan(0.05);
    const descriptors = await descriptorsOf(proxy.pid);
    let peak = 0;
    const watching = setInterval(() => void anonymousMib(proxy.pid).then((now) => (peak = Math.max(peak, now))), 100);
    for (let done = 0, seed = 2; done < requests; done += 250, seed += 1) {
      token = await proxy.token();
      await run(250, seed);
    }
    clearInterval(watching);
    await expect.poll(idleSeconds, { timeout: 90_000 }).toBeLessThan(0.05);
    // To the API server it keeps as many connections as it had to ask at once.
    const most = descriptors + atOnce;
    await expect.poll(() => descriptorsOf(proxy.pid), { timeout: patienceMs }).toBeLessThanOrEqual(most);
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(mostMib);
  },
  isLong ? 1_200_000 : 300_000,
);
