// The connection to an upload server. A pod is told ready a little before its name is known everywhere, so that a name that is not
// there yet, or a door that is not open yet, is tried again for a while.
import type { LookupFunction } from "node:net";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { setTimeout as pause } from "node:timers/promises";
import { seconds } from "../src/lib/duration.ts";

export interface ServerAddress {
  /** Of the Service; what its certificate is checked against. */
  host: string;
  port: number;
  /** PEM: our certificate and key, and who may sign the server's. */
  certificate: string;
  key: string;
  ca: string;
  lookup?: LookupFunction | undefined;
}

const againMs = 250;
const limitMs = seconds(10);
const passing = ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "EHOSTUNREACH"];

/** @throws the last try's error, the signal's reason */
export async function connectTo(to: ServerAddress, signal: AbortSignal): Promise<TLSSocket> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    // A signal that has gone off before tells no listener.
    signal.throwIfAborted();
    try {
      return await connectOnce(to, signal);
    } catch (cause) {
      const { code = "" } = cause as NodeJS.ErrnoException;
      signal.throwIfAborted();
      if (!passing.includes(code) || performance.now() >= endMs) throw cause;
      await pause(againMs, undefined, { signal });
    }
  }
}

type Texts = Pick<ServerAddress, "certificate" | "key" | "ca">;
let latest: (Texts & { context: SecureContext }) | undefined;

/** Read once for as long as the texts stay: each reading is a few hundred KiB outside the heap, which the collector does not see. */
function contextOf({ certificate, key, ca }: Texts): SecureContext {
  if (latest?.certificate === certificate && latest.key === key && latest.ca === ca) return latest.context;
  const context = createSecureContext({ cert: certificate, key, ca, minVersion: "TLSv1.2" });
  latest = { certificate, key, ca, context };
  return context;
}

function connectOnce(
  { host, port, certificate, key, ca, lookup }: ServerAddress,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      servername: host,
      secureContext: contextOf({ certificate, key, ca }),
      ...(lookup ? { lookup } : {}),
    });
    const abandon = (): void => void socket.destroy(signal.reason as Error);
    const settle = (): void => signal.removeEventListener("abort", abandon);
    signal.addEventListener("abort", abandon, { once: true });
    socket.setNoDelay(true);
    socket.once("error", (cause) => {
      settle();
      reject(cause);
    });
    socket.once("secureConnect", () => {
      settle();
      resolve(socket);
    });
  });
}
