// A request's body on its way to the upload server. It comes in records of 16 KiB, which are copied into a few large pieces, used
// again and again, so that a write carries many (docs/adr/0033).
import type { ClientRequest, IncomingMessage } from "node:http";
import { collectNowAndThen } from "../src/lib/collect-young.ts";
import { takeRequestBody } from "../src/lib/request-own-reads.ts";

/** As much as the runtime encrypts into one system call. */
export const pieceBytes = 160 * 1024;
/** One is filled while the others are on their way. No more of a body is held here. */
const mostPieces = 3;
/** Free ones of all bodies, as many as eight bodies use. A fresh set for each body would wait for the collector by the hundred. */
const mostKept = 8 * mostPieces;
const kept: Buffer[] = [];

function keep(piece: Buffer): void {
  if (kept.length < mostKept) kept.push(piece);
}

export interface Pump {
  /** Lets go of the request: what still comes is somebody else's to read. */
  stop(): void;
}

/** Passes the whole body on and ends `to` with it. Stops when `to` is over; never ends it before the body has come to its end. */
export function pump(from: IncomingMessage, to: ClientRequest): Pump {
  const isTaken = takeRequestBody(from);
  /** Being filled, and on their way. */
  let inUse = 0;
  let piece: Buffer | undefined;
  let filled = 0;
  /** What had no place. While there is some, the request is paused. */
  let rest: Buffer | undefined;
  let hasEnded = false;
  let isOver = false;
  let flushing: NodeJS.Immediate | undefined;

  function place(): Buffer | undefined {
    if (!piece && inUse < mostPieces) {
      inUse += 1;
      piece = kept.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
    }
    return piece;
  }

  function flush(): void {
    clearImmediate(flushing);
    flushing = undefined;
    const sent = piece;
    if (!sent || filled === 0 || isOver) return;
    const bytes = sent.subarray(0, filled);
    piece = undefined;
    filled = 0;
    to.write(bytes, () => {
      inUse -= 1;
      keep(sent);
      goOn();
    });
  }

  function take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const into = place();
      if (!into) {
        // The memory may be the connection's.
        rest = Buffer.from(chunk.subarray(at));
        from.pause();
        return;
      }
      const copied = chunk.copy(into, filled, at);
      filled += copied;
      at += copied;
      if (filled === into.length) flush();
    }
    // Whatever else has come by then goes in the same write.
    if (filled > 0) flushing ??= setImmediate(flush);
  }

  /** A piece is free again. */
  function goOn(): void {
    if (isOver || !rest) return;
    const waiting = rest;
    rest = undefined;
    take(waiting);
    if (rest) return;
    if (hasEnded) finish();
    else from.resume();
  }

  function finish(): void {
    flush();
    to.end();
    stop();
  }

  const onData = (chunk: Buffer): void => {
    if (!isTaken) collectNowAndThen(chunk.length);
    take(chunk);
  };
  const onEnd = (): void => {
    hasEnded = true;
    if (!rest) finish();
  };
  const onOver = (): void => stop();

  function stop(): void {
    if (isOver) return;
    isOver = true;
    clearImmediate(flushing);
    if (piece) keep(piece);
    piece = undefined;
    from.off("data", onData).off("end", onEnd);
    to.off("error", onOver).off("close", onOver);
  }

  to.once("error", onOver).once("close", onOver);
  from.on("data", onData).once("end", onEnd);
  return { stop };
}
