// Reads the long body of an answer off its socket past the HTTP parser: by the MiB, into buffers that go round. The parser
// sees the head and the body's first bytes; then it is paused for good, and hears only of the socket's errors and its end.
import { Socket, type OnReadOpts } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { largeBuffer } from "./buffers.ts";
import { smallBytes } from "./gathered-parts.ts";
import type { HttpBody } from "./http-body.ts";
import { canReadInto, readInto } from "./socket-buffer.ts";
import { syscalls } from "./syscalls.ts";

/** Shorter bodies stay with the parser, whose connection can be used again. */
export const leastTakenBytes = 8 * 1024 * 1024;
/** What node itself reads at a time. */
const parserReadBytes = 64 * 1024;
/** Room for a read. A record of TLS brings half of it. */
const leastRoomBytes = 32 * 1024;

/** Takes what comes instead of the stream. */
interface Taker {
  /** Where the next bytes are to go. */
  room(): Uint8Array;
  /** @returns false when nothing more should be read for now */
  came(count: number, bytes: Uint8Array): boolean;
}

/** A socket whose stream can be passed by. */
export type OwnSocket = Socket & { taker: Taker | undefined };

const last: { read: OwnSocket | undefined } = { read: undefined };
const forget = (): void => void (last.read = undefined);

/** Within a call of the parser: the socket whose bytes it parses. Undefined where that is none of these. */
export const socketBeingParsed = (): OwnSocket | undefined => last.read;

export const ownSocket = (): OwnSocket => owned((onread) => new Socket({ onread }));

/** It connects by itself: node reads so only where TLS has the socket from the beginning. Its types do not know of `onread`. */
export const ownTlsSocket = (options: ConnectionOptions): OwnSocket =>
  owned((onread) => connectTls({ ...options, onread } as ConnectionOptions));

/** Over a connection that is there: a tunnel. An ordinary one where node cannot be made to read so. */
export function tlsSocketOver(options: ConnectionOptions): Socket {
  const socket = connectTls(options);
  if (!canReadInto(socket)) return socket;
  return owned((onread) => {
    readInto(socket, onread);
    return socket;
  });
}

function owned(make: (onread: OnReadOpts) => Socket): OwnSocket {
  const self: { socket?: OwnSocket } = {};
  let spare: Uint8Array = Buffer.alloc(0);
  const socket = make({
    buffer() {
      if (self.socket?.taker) return self.socket.taker.room();
      // What was filled is the stream's: the next bytes go behind it.
      if (spare.length < leastRoomBytes) spare = Buffer.allocUnsafeSlow(parserReadBytes);
      return spare;
    },
    callback(count, bytes) {
      if (self.socket?.taker) return self.socket.taker.came(count, bytes);
      spare = bytes.subarray(count);
      return self.socket?.push(bytes.subarray(0, count)) ?? false;
    },
  });
  const read = socket.read.bind(socket);
  self.socket = Object.assign(socket, {
    taker: undefined,
    /** What a parser is given comes from here. */
    read(size?: number): unknown {
      last.read = self.socket;
      // The parser is done with it by then. What it parses next may come from a socket that is none of these.
      queueMicrotask(forget);
      return read(size) as unknown;
    },
  });
  return self.socket;
}

export interface TakenPlan {
  readonly body: HttpBody;
  /** Of the body as it is framed, behind what the parser has seen. */
  readonly leftBytes: number;
  /** Time without a byte while the reader wants some, ms. */
  readonly idleMs: number;
  readonly onIdle: () => void;
  /** The last byte was handed to the body. */
  readonly onWhole: () => void;
}

export interface TakenBody {
  /** Goes on after the body has asked for a pause. */
  readOn(): void;
  /** Hands over what is kept back: no more will come. */
  settle(): void;
}

/**
 * To be called when the parser is paused. What is handed over lies in its pages of memory as in those of the file, and ends with
 * a whole page: a disk that is placed as it lies in the file can then be written past the page cache.
 */
export function takeBody(socket: OwnSocket, { body, idleMs, onIdle, onWhole, ...plan }: TakenPlan): TakenBody {
  const { pageBytes } = syscalls();
  let { leftBytes } = plan;
  let isPaused = false;
  let whole: Buffer | undefined;
  let room: Uint8Array | undefined;
  /** Where the bytes begin in the buffer, and end. */
  let [start, filledTo] = [0, 0];
  /** Came behind the last whole page: they begin the next buffer. */
  let kept: Buffer = Buffer.alloc(0);
  let waiting: NodeJS.Immediate | undefined;
  /** The body had enough when it was last handed something: reading ends with the next bytes. */
  let isFull = false;

  const pause = (): void => {
    isPaused = true;
    socket.setTimeout(0);
  };
  const counted = (goesOn: boolean): boolean => {
    if (leftBytes === 0) {
      socket.taker = undefined;
      pause();
      socket.off("timeout", onIdle);
      onWhole();
      return false;
    }
    if (!goesOn) pause();
    return goesOn;
  };
  const received = (bytes: Buffer): boolean => {
    const wanted = bytes.subarray(0, leftBytes);
    leftBytes -= wanted.length;
    return counted(body.receive(wanted));
  };
  const dontWait = (): void => {
    clearImmediate(waiting);
    waiting = undefined;
  };
  /** The buffer, up to its last whole page unless no more will come. Within `came`: the next bytes then go to another one. */
  const handOver = (filled: Buffer): boolean => {
    dontWait();
    const end = leftBytes > 0 ? Math.max(start, filledTo - (filledTo % pageBytes)) : filledTo;
    kept = Buffer.from(filled.subarray(end, filledTo));
    whole = room = undefined;
    return body.receiveLarge(filled, end, start);
  };
  /** A copy of what is filled: the next bytes go behind it. @returns false when the body has enough */
  const handCopy = (): boolean => {
    dontWait();
    const bytes = whole?.subarray(start, filledTo) ?? kept;
    kept = Buffer.alloc(0);
    start = filledTo;
    return bytes.length === 0 || body.receive(bytes);
  };
  /** Small pieces are handed on together, unless a turn of the event loop brings no more of them. */
  const handSoon = (seenTo: number): void => {
    waiting = setImmediate(() => {
      if (filledTo !== seenTo) handSoon(filledTo);
      else isFull = !handCopy();
    });
  };

  socket.on("timeout", onIdle).setTimeout(idleMs);
  socket.taker = {
    room() {
      if (!whole) {
        whole = largeBuffer();
        start = body.position % pageBytes;
        filledTo = start + kept.copy(whole, start);
      }
      room = whole.subarray(filledTo, filledTo + leftBytes);
      return room;
    },
    came(count, bytes) {
      // The read that was under way when the body was taken went elsewhere.
      if (!whole || bytes !== room) return received(Buffer.from(bytes.buffer, bytes.byteOffset, count));
      filledTo += count;
      leftBytes -= count;
      const isDue = count >= smallBytes || leftBytes === 0 || whole.length - filledTo < leastRoomBytes;
      if (isDue) isFull = !handOver(whole);
      else if (!waiting) handSoon(filledTo);
      return counted(!isFull);
    },
  };
  for (let rest = socket.read(); Buffer.isBuffer(rest) && leftBytes > 0; rest = socket.read()) received(rest);
  return {
    readOn() {
      isFull = false;
      if (!isPaused || leftBytes === 0) return;
      isPaused = false;
      socket.setTimeout(idleMs);
      socket.read(0);
    },
    settle() {
      handCopy();
    },
  };
}
