// An HTTPS listener whose certificate, authorities and TLS settings can be renewed while it serves, and that ends at once when
// closed, whatever is connected.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";

export interface TlsListenerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  tls: SecureContextOptions;
  /** Ask clients for a certificate; whoever has none, or a wrong one, is let in all the same and judged by `serve`. */
  asksForCertificates: boolean;
  /** And end the handshake of whoever has none that is right. Default false. */
  requiresCertificates?: boolean;
  /** Also called for a request that waits for "100 Continue": `writeContinue` is then the callee's to send. */
  serve: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface TlsListener {
  readonly port: number;
  /** For connections from now on. @throws Error for settings the runtime cannot use; the former ones then stay */
  renew(tls: SecureContextOptions): void;
  close(): Promise<void>;
  /** Takes no more connections, and waits for requests under way; after so many ms whatever is connected is cut off. */
  drain(patienceMs: number): Promise<void>;
}

/** @throws the listener's error (EADDRINUSE, EACCES, ...) or the runtime's about the settings */
export async function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  const { host, port, tls, serve } = options;
  const server: Server = createServer({
    ...tls,
    requestCert: options.asksForCertificates,
    rejectUnauthorized: options.requiresCertificates ?? false,
    noDelay: true,
    // A peer that vanished without a word is noticed by the kernel, within a minute.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    highWaterMark: 256 * 1024,
  });
  // A transfer lasts as long as it lasts.
  server.requestTimeout = 0;
  server.timeout = 0;
  server.headersTimeout = 60_000;
  server.keepAliveTimeout = 75_000;
  server.on("request", serve);
  server.on("checkContinue", serve);
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
  // A second close only says that it is closed already.
  const ended = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  const cutAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    renew: (renewed) => server.setSecureContext(renewed),
    async close() {
      const over = ended();
      cutAll();
      await over;
    },
    async drain(patienceMs) {
      const over = ended();
      server.closeIdleConnections();
      const timer = setTimeout(cutAll, patienceMs);
      await over;
      clearTimeout(timer);
    },
  };
}
