// "Expect: 100-continue" on the server's side: who was told to go on, and who still waits to be.
import type { IncomingMessage, ServerResponse } from "node:http";

const told = new WeakSet<IncomingMessage>();

/** Tells a client that waits for it to send its body; of any other nothing happens. */
export function tellToGoOn(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect === undefined || told.has(request)) return;
  told.add(request);
  response.writeContinue();
}

/**
 * Whether the client has not begun to send, as it was not told to. After an answer what it sends next would pass for the body, so
 * its connection has to end. One that was told loses the answer with its connection: bytes on their way reset it.
 */
export const waitsToBeTold = (request: IncomingMessage): boolean =>
  !request.complete && request.headers.expect !== undefined && !told.has(request) && request.readableLength === 0;
