// The metrics endpoint: HTTPS with the certificate given; every path answers, as upstream's importer does.
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Registry } from "prom-client";

export interface MetricsEndpoint {
  /** The port listened on, of use when 0 was asked for. */
  readonly port: number;
  /** Stops listening and drops what is connected. Never throws. */
  readonly close: () => Promise<void>;
}

export interface EndpointSettings {
  readonly registry: Registry;
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** @throws the listener's error (EADDRINUSE, EADDRNOTAVAIL, ...) */
export async function serveMetrics({ registry, host, port, key, cert }: EndpointSettings): Promise<MetricsEndpoint> {
  const server = createServer({ key, cert, minVersion: "TLSv1.2" }, (request, response) => {
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    registry.metrics().then(
      (text) => {
        response.writeHead(200, { "content-type": registry.contentType, "content-length": Buffer.byteLength(text) });
        response.end(request.method === "HEAD" ? undefined : text);
      },
      (cause: unknown) => {
        response.writeHead(500, { "content-type": "text/plain" });
        response.end(cause instanceof Error ? cause.message : String(cause));
      },
    );
  });
  // closeAllConnections knows only those that have shaken hands.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
