// The server's sockets: on the loopback alone, both families, by address. The image under import has no /etc/hosts that would
// tell what "localhost" is, and the importer's may name either. In embedded mode, where pods share a network, it is the pod's own
// address.
import { createServer, type Server } from "node:http";
import { isIPv4, type AddressInfo } from "node:net";
import type { Log } from "../src/lib/log.ts";
import { answer, type Served } from "./answer.ts";

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Where to listen. @param podIp in embedded mode the pod's own address, which its localhost is; taken from the image's environment
 * on a cluster, so only a loopback address counts
 */
export const loopbacks = (podIp = ""): readonly string[] =>
  isIPv4(podIp) && podIp.startsWith("127.") ? [podIp] : ["127.0.0.1", "::1"];

/** A kernel, or a network namespace, without that family. */
const familyMissing = ["EADDRNOTAVAIL", "EAFNOSUPPORT"];

/** @param port 0 for any that is free on the first address. @throws Error when it listens nowhere or the port is taken */
export async function listen(addresses: readonly string[], port: number, served: Served, log: Log): Promise<Listening> {
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closeServer));
  };
  let missing: unknown;
  let bound = port;
  for (const address of addresses) {
    const server = serverFor(served, log);
    try {
      await listenAt(server, address, bound);
      bound = (server.address() as AddressInfo).port;
      servers.push(server);
    } catch (cause) {
      if (!familyMissing.includes((cause as NodeJS.ErrnoException).code ?? "")) {
        await close();
        throw cause;
      }
      missing = cause;
    }
  }
  if (servers.length === 0) throw missing;
  return { port: bound, close };
}

function serverFor(served: Served, log: Log): Server {
  const server = createServer((request, response) => {
    answer(request, response, served).catch((cause: unknown) => {
      // Whoever asked went away, as at the end of each read that wanted only a part.
      if ((cause as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") {
        log.error("Sending failed", { path: request.url, error: cause });
      }
      response.destroy();
    });
  });
  // The importer may think long between two reads.
  server.keepAliveTimeout = 0;
  return server;
}

const listenAt = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
