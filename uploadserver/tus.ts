// Resumable uploads by tus 1.0 at one route: creation, HEAD, PATCH, termination, expiration (docs/adr/0024).
import { randomUUID } from "node:crypto";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { tusIdOf } from "../src/contract/upload-routes.ts";
import { seconds } from "../src/lib/duration.ts";
import { tellToGoOn } from "../src/lib/http-early.ts";
import { failedTusAnswer, scratchAnswer } from "./answers.ts";
import type { ServerWorld } from "./handle.ts";
import { answer, answered } from "./respond.ts";
import { countIn, discovery, fileNameIn, locationOf, patchType, spoken, tusVersion } from "./tus-headers.ts";
import { keptIn } from "./target.ts";
import { makeSession, type Ended, type Session } from "./tus-session.ts";
import { recordIn, type UploadRecord } from "./upload-record.ts";

/** An upload nobody has sent to for so long makes way for another one. */
const keptMs = seconds(60);
/** A HEAD waits so long for a data path that has all its bytes; proxies in between cut longer silences. */
const endingMs = seconds(40);

export interface Tus {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Knows an upload that an earlier server was killed in. */
  restore(): Promise<void>;
  /** The server is about to end: what can be taken up again stays. */
  park(): void;
}

export function makeTus(world: ServerWorld): Tus {
  const { gate, receiver, settings, log } = world;
  const place = keptIn(settings);
  const kept = place && { record: recordIn(place.folder), checkpointPath: place.checkpointPath };
  let session: Session | undefined;
  let done: { readonly id: string; readonly sizeBytes: number } | undefined;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").replace(/[?#].*$/s, "");
    const id = tusIdOf(path) ?? "";
    const say = (status: number, body = "", headers: OutgoingHttpHeaders = {}): void =>
      answer(request, response, { status, body }, { ...spoken, "cache-control": "no-store", ...headers });
    const override = request.headers["x-http-method-override"];
    const method = typeof override === "string" ? override.toUpperCase() : request.method;
    if (method === "OPTIONS") return say(204, "", discovery);
    if (request.headers["tus-resumable"] !== tusVersion) {
      return say(412, `tus ${tusVersion} is spoken here`, { "tus-version": tusVersion });
    }
    if (id === "" && method === "POST") return await create(request, path, say);
    if (id === "" || !["HEAD", "PATCH", "DELETE"].includes(method ?? ""))
      return say(405, "", { allow: "POST, HEAD, PATCH, DELETE, OPTIONS" });
    if (done?.id === id) return tellDone(done.sizeBytes, method, say);
    const known = session?.id === id ? session : undefined;
    if (!known) return say(404, "there is no such upload; it may have made way for another one");
    if (method === "HEAD") return await head(known, say);
    if (method === "DELETE") return await terminate(known, say);
    return await patch(known, request, response, say);
  }

  type Say = (status: number, body?: string, headers?: OutgoingHttpHeaders) => void;

  function tellDone(sizeBytes: number, method: string | undefined, say: Say): void {
    if (method === "HEAD") return say(200, "", { "upload-offset": sizeBytes, "upload-length": sizeBytes });
    say(409, "the upload is complete");
  }

  async function create(request: IncomingMessage, path: string, say: Say): Promise<void> {
    const sizeBytes = countIn(request.headers, "upload-length");
    if (sizeBytes === undefined) return say(400, "Upload-Length must say how many bytes will come");
    const busy = gate.enter(Date.now());
    if (busy !== undefined) return say(busy, "another upload runs, or is done", { "retry-after": "10" });
    await gate.cleared();
    const record = { id: randomUUID(), sizeBytes, fileName: fileNameIn(request.headers) };
    await kept?.record.write(record);
    keep(record, false);
    say(201, "", { location: locationOf(path, record.id), ...expires() });
  }

  function keep(record: UploadRecord, isRestored: boolean): void {
    const one = makeSession({ record, kept, isRestored, receiver, log: log.with({ upload: record.id }) });
    session = one;
    gate.pause(Date.now() + keptMs, () => drop(one, "another upload has taken its place"));
    one.ended.then(over, (cause: unknown) => log.error("The upload's end was lost", { error: cause }));

    function over(how: Ended): void {
      if (session !== one) return;
      session = undefined;
      if (how.kind === "failed") return gate.reopen();
      if (how.outcome.kind !== "done") return;
      done = { id: one.id, sizeBytes: one.sizeBytes };
      if (one.wasComplete) world.end(how.outcome);
      gate.finish();
    }
  }

  async function drop(one: Session, why: string): Promise<void> {
    if (session === one) session = undefined;
    await one.interrupt();
    await one.abandon(new Error(why));
  }

  const expires = (): OutgoingHttpHeaders => ({ "upload-expires": new Date(Date.now() + keptMs).toUTCString() });

  async function head(known: Session, say: Say): Promise<void> {
    // Whoever asks has lost its connection: what is left of it is not waited for.
    await known.interrupt();
    await known.ready;
    const { offset, sizeBytes } = known;
    if (offset === sizeBytes) {
      // All bytes are here, and the client would take that for success: it hears how it ended.
      const how = await within(known.ended, endingMs);
      if (!how) return say(503, "the upload is being finished", { "retry-after": "5" });
      if (how.kind === "failed") return tellFailed(how, say);
    }
    say(200, "", { "upload-offset": offset, "upload-length": sizeBytes, ...expires() });
  }

  async function terminate(known: Session, say: Say): Promise<void> {
    gate.resume();
    await drop(known, "the client gave it up");
    gate.reopen();
    say(204);
  }

  async function patch(known: Session, request: IncomingMessage, response: ServerResponse, say: Say): Promise<void> {
    if (request.headers["content-type"] !== patchType) return say(415, `Content-Type must be ${patchType}`);
    const from = countIn(request.headers, "upload-offset");
    if (from === undefined) return say(400, "Upload-Offset must say where the bytes belong");
    if (known.isTaking) await known.interrupt();
    await known.ready;
    if (session !== known) return say(404, "there is no such upload; it may have made way for another one");
    if (from !== known.offset) return say(409, "", { "upload-offset": known.offset });
    const length = countIn(request.headers, "content-length");
    if (length !== undefined && from + length > known.sizeBytes)
      return say(413, "the request holds more bytes than were announced");
    if (known.isTaking || known.offset === known.sizeBytes) return say(423, "the upload is busy");
    tellToGoOn(request, response);
    gate.resume();
    const taken = known.take(request).then(() => "taken" as const);
    const first = await Promise.race([taken, known.ended]);
    if (first === "taken" && known.offset < known.sizeBytes && !known.isEnding) {
      if (session === known) gate.pause(Date.now() + keptMs, () => drop(known, "another upload has taken its place"));
      return say(204, "", { "upload-offset": known.offset, ...expires() });
    }
    const how = first === "taken" ? await known.ended : first;
    if (how.kind === "failed") return tellFailed(how, say);
    if (how.outcome.kind === "scratchNeeded") say(scratchAnswer.status, scratchAnswer.body, { "retry-after": "10" });
    else say(204, "", { "upload-offset": known.sizeBytes, connection: "close" });
    await answered(response);
    const { outcome } = how;
    world.end(outcome.kind === "done" ? outcome : { kind: "scratchNeeded" });
  }

  function tellFailed({ fault }: Ended & { kind: "failed" }, say: Say): void {
    const { status, body } = failedTusAnswer(fault, settings.listener);
    say(status, body);
  }

  return {
    handle,
    async restore() {
      const record = await kept?.record.read();
      if (!record) return;
      log.info("Taking up an upload again", { sizeBytes: record.sizeBytes });
      keep(record, true);
    },
    park: () => session?.park(),
  };
}

/** @returns undefined when it took longer */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
