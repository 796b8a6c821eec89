// A proxy in front of an API server that is as bad as networks and servers get: it refuses, throttles, cuts, delays, repeats
// and forgets, by chance from a seed. What it does let through is what the server said.
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { randomFrom } from "./random-qcow2.ts";

export interface HostileApi {
  /** Of the proxy, without credentials: it has its own to the server. */
  readonly kubeconfig: string;
  /** From now on everything is passed on as it is. */
  calm(): void;
  /** How often it did what, by name. */
  readonly done: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

const status = (code: number, reason: string): string =>
  JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", reason, code, message: `hostile: ${reason}` });

/** Refusals before the server heard of the request. */
const refusals = [
  { name: "throttled", code: 429, reason: "TooManyRequests", headers: { "retry-after": "1" } },
  { name: "unavailable", code: 503, reason: "ServiceUnavailable", headers: {} },
  { name: "broken", code: 500, reason: "InternalError", headers: {} },
  { name: "token expired", code: 401, reason: "Unauthorized", headers: {} },
] as const;

export async function startHostileApi(kubeconfig: string, seed: number): Promise<HostileApi> {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const upstream = new URL(config.getCurrentCluster()?.server ?? "");
  const credentials: { ca?: string; cert?: string; key?: string } = {};
  await config.applyToHTTPSOptions(credentials);
  const { ca, cert, key } = credentials;
  const agent = new Agent({
    keepAlive: true,
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
  });
  const next = randomFrom(seed);
  const done = new Map<string, number>();
  let isCalm = false;
  const happens = (name: string, oneIn: number): boolean => {
    if (isCalm || next(oneIn) !== 0) return false;
    done.set(name, (done.get(name) ?? 0) + 1);
    return true;
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const isWatch = request.url?.includes("watch=true") === true;
    if (happens("reset", 25)) return void request.socket.destroy();
    for (const { name, code, reason, headers } of refusals) {
      if (!happens(name, 30)) continue;
      return void response
        .writeHead(code, { "content-type": "application/json", ...headers })
        .end(status(code, reason));
    }
    if ((isWatch || request.url?.includes("continue=")) && happens("compacted", 12)) {
      return void response.writeHead(410, { "content-type": "application/json" }).end(status(410, "Expired"));
    }
    const answer = await forward(request, Buffer.concat(chunks));
    if (isWatch && answer.statusCode === 200) return await passWatch(answer, request, response);
    const body: Buffer[] = [];
    for await (const chunk of answer) body.push(chunk as Buffer);
    // The server did what was asked, and nobody hears of it.
    if (happens("answer lost", 20)) return void request.socket.destroy();
    response.writeHead(answer.statusCode ?? 502, {
      "content-type": answer.headers["content-type"] ?? "application/json",
    });
    if (happens("answer cut", 25)) {
      response.write(Buffer.concat(body).subarray(0, 20));
      return void request.socket.destroy();
    }
    response.end(Buffer.concat(body));
  }

  async function forward(request: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { method, url, headers } = request;
    const kept = Object.entries(headers).filter(
      ([name]) => !["host", "connection", "transfer-encoding"].includes(name),
    );
    const options = { method: method ?? "GET", headers: Object.fromEntries(kept) as Record<string, string>, agent };
    const call = (upstream.protocol === "http:" ? httpRequest : httpsRequest)(new URL(url ?? "/", upstream), options);
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return answer;
  }

  /** Line by line, so that it can be cut and repeated where it hurts. */
  async function passWatch(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.socket.once("close", () => answer.destroy());
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const told: string[] = [];
    let rest = "";
    try {
      for await (const chunk of answer) {
        const lines = (rest + (chunk as Buffer).toString()).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (!(await passLine(line, told, request, response))) return;
        }
      }
      response.end();
    } catch (cause) {
      if (!request.socket.destroyed) throw cause;
    } finally {
      answer.destroy();
    }
  }

  /** @returns false when the watch has ended */
  async function passLine(
    line: string,
    told: string[],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    if (happens("delayed", 10)) await sleep(next(30));
    if (happens("dropped", 20)) {
      request.socket.destroy();
      return false;
    }
    if (happens("cut in a line", 25)) {
      response.write(line.slice(0, next(line.length)), () => request.socket.destroy());
      return false;
    }
    if (happens("too old", 30)) {
      response.end(`${JSON.stringify({ type: "ERROR", object: JSON.parse(status(410, "Expired")) as unknown })}\n`);
      return false;
    }
    if (happens("ended", 25)) {
      response.end();
      return false;
    }
    response.write(`${line}\n`);
    told.push(line);
    if (happens("repeated", 8)) for (const old of told.slice(-1 - next(4))) response.write(`${old}\n`);
    return true;
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    kubeconfig: JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "hostile", cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "nobody", user: {} }],
      contexts: [{ name: "hostile", context: { cluster: "hostile", user: "nobody" } }],
      "current-context": "hostile",
    }),
    calm: () => (isCalm = true),
    done,
    async close() {
      isCalm = true;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}
