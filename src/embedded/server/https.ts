// The listener: TLS on loopback, HTTP/1.1, client certificates asked for and judged by the routes.
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Credentials } from "./credentials.ts";

export interface Listener {
  port: number;
  close(): Promise<void>;
}

/** @throws when the port is taken */
export async function listen(
  credentials: Credentials,
  port: number,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Listener> {
  const server = createServer(
    {
      cert: credentials.server.certificate,
      key: credentials.server.key,
      ca: credentials.authority.certificate,
      requestCert: true,
      // Whoever comes without one gets a 401, which says more than a failed handshake.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      keepAlive: true,
      noDelay: true,
    },
    serve,
  );
  // Watches and logs last as long as they are read.
  server.requestTimeout = 0;
  server.timeout = 0;
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((cause) => (cause ? reject(cause) : resolve()));
        server.closeAllConnections();
      }),
  };
}
