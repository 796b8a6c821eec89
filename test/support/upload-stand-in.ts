// A stand-in for an upload server: mutual TLS on its own loopback address, port 8443; what it was sent and how stands in `seen`.
import { createHash, randomInt } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../../src/lib/clock.ts";
import { issueCertificate, makeAuthority, type KeyedCertificate } from "../../src/pki/index.ts";

export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  /** Common name of the client's certificate, undefined without a verified one. */
  client: string | undefined;
  bytes: number;
  sha256: string;
  /** The body came to its end. */
  complete: boolean;
}

export interface StandIn {
  readonly address: string;
  readonly seen: SeenRequest[];
  /** What to answer, and when; reads the whole body and says 200 by default. */
  answer: (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => void | Promise<void>;
  close(): Promise<void>;
}

const hour = 3_600_000;
export const authorityNow = (name: string): Promise<KeyedCertificate> => makeAuthority(name, hour, systemClock);
export const certificateNow = (
  authority: KeyedCertificate,
  commonName: string,
  usage: "server" | "client",
  names: { dnsNames?: string[]; ips?: string[] } = {},
): Promise<KeyedCertificate> =>
  issueCertificate(authority, {
    commonName,
    usages: [usage],
    ...names,
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + hour / 2,
  });

/** Reads the body to its end and notes it. */
export async function readAll(request: IncomingMessage, seen: SeenRequest): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    seen.bytes += chunk.length;
  }
  seen.sha256 = hash.digest("hex");
  seen.complete = request.complete;
}

export async function startStandIn(options: {
  authority: KeyedCertificate;
  clientCa: string;
  dnsNames: string[];
}): Promise<StandIn> {
  const own = await certificateNow(options.authority, options.dnsNames[0] ?? "", "server", options);
  const seen: SeenRequest[] = [];
  const standIn = {
    address: `127.${randomInt(128, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`,
    seen,
    answer: async (request: IncomingMessage, response: ServerResponse, about: SeenRequest) => {
      await readAll(request, about);
      response.writeHead(200).end();
    },
  };
  const server = createServer(
    { cert: own.certificate, key: own.key, ca: options.clientCa, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const about: SeenRequest = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        client: socket.authorized ? String(socket.getPeerCertificate().subject.CN) : undefined,
        bytes: 0,
        sha256: "",
        complete: false,
      };
      seen.push(about);
      Promise.resolve(standIn.answer(request, response, about)).catch(() => response.destroy());
    },
  );
  server.requestTimeout = 0;
  server.listen(8443, standIn.address);
  await once(server, "listening");
  return Object.assign(standIn, {
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
