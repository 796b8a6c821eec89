// Who may post: the one client whose certificate was verified and bears the name this server was told.
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";

/**
 * Only the certificate the client holds the key of counts, not those it sends beside. A session taken up again without a
 * certificate passes for authorized in the runtime: the name is asked for in any case.
 */
export function isClient(request: IncomingMessage, clientName: string): boolean {
  const socket = request.socket as TLSSocket;
  const certificate: unknown = socket.authorized ? socket.getPeerCertificate()?.subject?.CN : undefined;
  return certificate === clientName;
}
