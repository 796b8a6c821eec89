// Reads a long body of known length off its socket past the HTTP parser: by the MiB, into buffers that go round. The parser
// sees the head and the body's first bytes; then it is paused for good, and hears only of the socket's errors and its end.
import { Socket } from "node:net";
import { largeBuffer } from "./buffers.ts";
import type { HttpBody } from "./http-body.ts";
import { syscalls } from "./syscalls.ts";

/** Shorter bodies stay with the parser, whose connection can be used again. */
export const leastTakenBytes = 8 * 1024 * 1024;
/** What node itself reads at a time. */
const parserReadBytes = 64 * 1024;

/** Takes what comes instead of the stream. */
interface Taker {
  /** Where the next bytes are to go. */
  room(): Uint8Array;
  /** @returns false when nothing more should be read for now */
  came(count: number, bytes: Uint8Array): boolean;
}

const last: { read?: OwnSocket } = {};

/** Within a call of the parser: the socket whose bytes it parses. Undefined where that is none of these. */
export const socketBeingParsed = (): OwnSocket | undefined => last.read;

/** A socket whose stream can be passed by. */
export class OwnSocket extends Socket {
  taker: Taker | undefined;

  constructor(self: { socket?: OwnSocket } = {}) {
    super({
      onread: {
        buffer: () => self.socket?.taker?.room() ?? Buffer.allocUnsafeSlow(parserReadBytes),
        callback(count, bytes) {
          const { socket } = self;
          if (socket?.taker) return socket.taker.came(count, bytes);
          return socket?.push(bytes.subarray(0, count)) ?? false;
        },
      },
    });
    self.socket = this;
  }

  /** What a parser is given comes from here. */
  override read(size?: number): unknown {
    last.read = this;
    return super.read(size) as unknown;
  }
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
  /** Where the bytes begin in the buffer. */
  let start = 0;
  /** Came behind the last whole page: they begin the next buffer. */
  let kept: Buffer = Buffer.alloc(0);

  const pause = (): void => {
    isPaused = true;
    socket.setTimeout(0);
  };
  const counted = (bytes: number, goesOn: boolean): boolean => {
    leftBytes -= bytes;
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
    return counted(wanted.length, body.receive(wanted));
  };

  socket.on("timeout", onIdle).setTimeout(idleMs);
  socket.taker = {
    room() {
      whole = largeBuffer();
      start = body.position % pageBytes;
      const from = start + kept.copy(whole, start);
      room = whole.subarray(from, from + leftBytes);
      return room;
    },
    came(count, bytes) {
      // The read that was under way when the body was taken went elsewhere.
      if (!whole || bytes !== room) return received(Buffer.from(bytes.buffer, bytes.byteOffset, count));
      const filled = whole;
      const cameTo = start + kept.length + count;
      const end = count < leftBytes ? Math.max(start, cameTo - (cameTo % pageBytes)) : cameTo;
      kept = Buffer.from(filled.subarray(end, cameTo));
      whole = room = undefined;
      return counted(count, body.receiveLarge(filled, end, start));
    },
  };
  for (let rest = socket.read(); Buffer.isBuffer(rest) && leftBytes > 0; rest = socket.read()) received(rest);
  return {
    readOn() {
      if (!isPaused || leftBytes === 0) return;
      isPaused = false;
      socket.setTimeout(idleMs);
      socket.read(0);
    },
    settle() {
      const rest = kept;
      kept = Buffer.alloc(0);
      if (rest.length > 0) body.receive(rest);
    },
  };
}
