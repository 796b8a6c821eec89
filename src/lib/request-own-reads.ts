// Reads the long body of a request off its TLS connection into one buffer that is used again and again. Left to itself node makes a
// buffer for each record of 16 KiB, and the collector clears away 64,000 of them a GiB (docs/adr/0032). The HTTP parser is told how
// many bytes came: where the body ends, and what comes behind it, stays its affair.
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { canReadInto, readInto } from "./socket-buffer.ts";

/** Shorter bodies are not worth it. */
const leastTakenBytes = 8 * 1024 * 1024;
/** More than the payload of a record. */
const roomBytes = 64 * 1024;
/** The parser is told of so much at once. It looks at no byte of a body. */
const untold = Buffer.allocUnsafeSlow(1024 * 1024);

/** Node's own, and no public interface: looked for, and left alone where they look otherwise. */
interface Insides {
  readonly parser: Record<number, unknown> & { readonly incoming?: unknown };
  /** Of the parser's function that copies a piece of a body. */
  readonly bodySlot: number;
  /** The server wants nothing of this connection before its answers have left. */
  readonly isStopped: boolean;
}

/** @returns false when nothing more should be read for now */
type Taker = (bytes: Buffer) => boolean;

const buffers = new WeakMap<TLSSocket, { taker: Taker | undefined }>();

/**
 * To be called outside of the parser's own calls, before anybody reads the request. Its "data" events then bring bytes that are good
 * only until the listener returns; what waits while it is paused is a copy.
 * @returns false where nothing changes: a short body or one of unknown length, another kind of connection, another node
 */
export function takeRequestBody(request: IncomingMessage): boolean {
  const { socket, headers } = request;
  if (!(socket instanceof TLSSocket) || socket.destroyed || request.readableDidRead) return false;
  const wantedBytes = headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : 0;
  if (!(wantedBytes >= leastTakenBytes)) return false;
  const insides = insidesOf(socket);
  // Of requests sent one behind the other, the parser may be at another.
  if (insides?.parser.incoming !== request || insides.isStopped) return false;
  const own = buffers.get(socket) ?? ownBuffer(socket);
  // What the connection's stream holds is the parser's still.
  while (socket.read() !== null);
  const leftBytes = wantedBytes - request.readableLength;
  if (leftBytes > 0) own.taker = takerOf(request, leftBytes, insides, () => (own.taker = undefined));
  return leftBytes > 0;
}

/** From now on the connection is read into it. */
function ownBuffer(socket: TLSSocket): { taker: Taker | undefined } {
  const own: { taker: Taker | undefined } = { taker: undefined };
  buffers.set(socket, own);
  // For node a listener is the sign to leave reading to JavaScript; the parser's own is there already.
  const sign = (): void => undefined;
  socket.on("data", sign).off("data", sign);
  const buffer = Buffer.allocUnsafeSlow(roomBytes);
  // As node would: where the parser has had enough for now, the stream keeps it.
  const parsed = (bytes: Buffer): boolean => socket.push(Buffer.from(bytes));
  readInto(socket, { buffer, callback: (count) => (own.taker ?? parsed)(buffer.subarray(0, count)) });
  return own;
}

function takerOf(request: IncomingMessage, wantedBytes: number, insides: Insides, onEnd: () => void): Taker {
  const { parser, bodySlot } = insides;
  const { socket } = request;
  let leftBytes = wantedBytes;
  let untoldBytes = 0;

  /** The parser counts them, and is not asked to copy them. */
  function tell(): void {
    const onBody = parser[bodySlot];
    parser[bodySlot] = undefined;
    try {
      if (untoldBytes > 0) socket.emit("data", untold.subarray(0, untoldBytes));
    } finally {
      untoldBytes = 0;
      parser[bodySlot] = onBody;
    }
  }
  return (bytes) => {
    const body = bytes.subarray(0, leftBytes);
    leftBytes -= body.length;
    const goesOn = hand(request, body);
    untoldBytes += body.length;
    const isOver = leftBytes === 0 || request.destroyed;
    if (isOver || untoldBytes + roomBytes > untold.length) tell();
    if (isOver) {
      onEnd();
      // The parser has let the connection go on, to the next request.
      return bytes.length === body.length || socket.push(Buffer.from(bytes.subarray(body.length)));
    }
    // What is decrypted already comes all the same, and waits with the request.
    if (!goesOn) socket.pause();
    return goesOn;
  };
}

/** @returns false when the request holds enough */
function hand(request: IncomingMessage, bytes: Buffer): boolean {
  if (request.readableFlowing !== true || request.readableLength > 0) return request.push(Buffer.from(bytes));
  request.emit("data", bytes);
  return true;
}

function insidesOf(socket: TLSSocket): Insides | undefined {
  const { parser, _paused: isStopped = false } = socket as Partial<NodesOwn>;
  const bodySlot = Object.keys(parser ?? {}).find((key) => (parser?.[Number(key)] as Named)?.name === "parserOnBody");
  return parser && bodySlot && canReadInto(socket) ? { parser, bodySlot: Number(bodySlot), isStopped } : undefined;
}
interface NodesOwn {
  readonly parser: Insides["parser"];
  readonly _paused: boolean;
}
type Named = { readonly name?: string } | undefined;
