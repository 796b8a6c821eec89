// A long way to a server, on one machine: each direction holds bytes for 25 ms, and one connection has no more than 1 MiB on
// its way, as if its sender waited for acknowledgements that take the same way back. So one stream brings 1 MiB in 50 ms,
// 21 MB/s, whatever its rate would be; the rate of all together is not limited. (A real link would be made with tc's netem,
// which many kernels lack.) Connecting costs nothing: the relay itself answers.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { AtEnd } from "./loop.ts";

export interface RelayOptions {
  readonly toPort: number;
  /** Of one direction, ms. Default 25. */
  readonly delayMs?: number;
  /** Bytes of one connection on their way in one direction. Default 1 MiB. */
  readonly windowBytes?: number;
}

export interface Relay {
  readonly port: number;
  /** Connections that carry a body's bytes at this moment, at most, so far. */
  readonly mostBusy: number;
  /** Bytes that came from the server. */
  readonly bytes: number;
  /** And such that came from clients. */
  readonly sentBytes: number;
  /** Breaks every connection once so many bytes came from the server. */
  cutAt(bytes: number): void;
}

export async function startRelay(options: RelayOptions, atEnd: AtEnd): Promise<Relay> {
  const { toPort, delayMs = 25, windowBytes = 1024 * 1024 } = options;
  const sockets = new Set<Socket>();
  const busy = new Map<Socket, number>();
  const seen = { mostBusy: 0, bytes: 0, sentBytes: 0, cutAt: Infinity };
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
  };
  const onBytes = (from: Socket, bytes: number): void => {
    seen.bytes += Math.max(0, bytes);
    busy.set(from, (busy.get(from) ?? 0) + bytes);
    // A head or a refusal is no body.
    seen.mostBusy = Math.max(seen.mostBusy, [...busy.values()].filter((held) => held >= 16 * 1024).length);
    if (seen.bytes < seen.cutAt) return;
    seen.cutAt = Infinity;
    for (const socket of sockets) socket.destroy();
  };
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ port: toPort, host: "127.0.0.1", allowHalfOpen: true });
    carry(keep(client), keep(server), delayMs, windowBytes, (bytes) => (seen.sentBytes += Math.max(0, bytes)));
    carry(server, client, delayMs, windowBytes, (bytes) => onBytes(server, bytes));
    server.once("close", () => busy.delete(server));
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    await once(listener.close(), "close");
  });
  return {
    port: (listener.address() as AddressInfo).port,
    get mostBusy() {
      return seen.mostBusy;
    },
    get bytes() {
      return seen.bytes;
    },
    get sentBytes() {
      return seen.sentBytes;
    },
    cutAt: (bytes) => void (seen.cutAt = bytes),
  };
}

/** @param onHeld told of bytes that set out (more than 0) and of such that were acknowledged (less) */
function carry(from: Socket, to: Socket, delayMs: number, windowBytes: number, onHeld: (bytes: number) => void): void {
  let held = 0;
  const later = (act: () => void): void => void setTimeout(act, delayMs);
  from.on("data", (chunk: Buffer) => {
    held += chunk.length;
    onHeld(chunk.length);
    if (held >= windowBytes) from.pause();
    const acknowledged = (): void => {
      held -= chunk.length;
      onHeld(-chunk.length);
      if (held < windowBytes) from.resume();
    };
    later(() => to.write(chunk, () => later(acknowledged)));
  });
  from.once("end", () => later(() => to.end()));
  const isBroken = (socket: Socket): boolean => socket.errored !== null || !socket.readableEnded;
  from.once("close", () => later(() => isBroken(from) && to.destroy()));
  // What is written to nobody has to come from nobody.
  to.once("close", () => isBroken(to) && from.destroy());
}
