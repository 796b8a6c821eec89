// Has node read a connection that is there already into buffers of ours, as its `onread` does for one that it makes itself.
import type { OnReadOpts, Socket } from "node:net";

/** Node's own, and no public interface: looked for by name, and left alone where they look otherwise. */
interface Insides {
  readonly handle: { useUserBuffer(buffer: Uint8Array): void };
  /** Of the socket: where bytes go, who hears how many came, who names the next buffer. */
  readonly room: symbol;
  readonly onCame: symbol;
  readonly nextRoom: symbol;
}

export const canReadInto = (socket: Socket): boolean => insidesOf(socket) !== undefined;

/** @returns false where nothing changes: a closed connection, another node */
export function readInto(socket: Socket, onread: OnReadOpts): boolean {
  const insides = insidesOf(socket);
  if (!insides) return false;
  const { buffer } = onread;
  const first = typeof buffer === "function" ? buffer() : buffer;
  Object.assign(socket, {
    [insides.room]: first,
    [insides.onCame]: (count: number, bytes: Uint8Array) => onread.callback(count, bytes),
    [insides.nextRoom]: typeof buffer === "function" ? buffer : null,
  });
  insides.handle.useUserBuffer(first);
  return true;
}

function insidesOf(socket: Socket): Insides | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<Insides["handle"]> | null };
  if (typeof handle?.useUserBuffer !== "function") return undefined;
  const symbols = Object.getOwnPropertySymbols(socket);
  const [room, onCame, nextRoom] = ["kBuffer", "kBufferCb", "kBufferGen"].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  if (!room || !onCame || !nextRoom) return undefined;
  return { handle: handle as Insides["handle"], room, onCame, nextRoom };
}
