// One request to the upload server, in upstream's order of checks (interfaces/upload.md section 4).
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import {
  cloneContentTypes,
  contentTypeHeader,
  healthPath,
  tusIdOf,
  uploadRouteOf,
} from "../src/contract/upload-routes.ts";
import type { UploadRoute } from "../src/contract/upload-routes.ts";
import { faultOf } from "../src/lib/faults.ts";
import { tellToGoOn } from "../src/lib/http-early.ts";
import type { Log } from "../src/lib/log.ts";
import { failedAnswer, scratchAnswer } from "./answers.ts";
import { isClient } from "./client.ts";
import { BadForm, filePart } from "./form.ts";
import type { Gate } from "./gate.ts";
import type { End } from "./outcome.ts";
import type { Outcome, Receiver } from "./receive.ts";
import { answer, answered } from "./respond.ts";
import type { Settings } from "./settings.ts";

export interface ServerWorld {
  readonly settings: Settings;
  readonly gate: Gate;
  readonly receiver: Receiver;
  readonly log: Log;
  /** The program's end is known; the first one told counts. */
  readonly end: (end: End) => void;
}

/** @param resumable serves what lies under the tus route */
export async function handle(
  world: ServerWorld,
  request: IncomingMessage,
  response: ServerResponse,
  resumable: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<void> {
  const path = (request.url ?? "/").replace(/[?#].*$/s, "");
  const refuse = (status: number, body = ""): void => answer(request, response, { status, body });
  if (path === healthPath) return refuse(200, "OK");
  if (tusIdOf(path) !== undefined) {
    if (!isClient(request, world.settings.config.clientName)) return refuse(401);
    return await resumable(request, response);
  }
  const route = uploadRouteOf(path);
  if (!route) return refuse(404);
  if (request.method === "HEAD" && route.isAsync) return refuse(200);
  if (request.method !== "POST") return refuse(404);
  if (!isClient(request, world.settings.config.clientName)) return refuse(401);
  const busy = world.gate.enter(Date.now());
  if (busy !== undefined) {
    world.log.warn("Refusing an upload", { state: world.gate.state, status: busy });
    return refuse(busy);
  }
  const unserved = unservedKind(request, route);
  if (unserved) {
    world.gate.reopen();
    return refuse(unserved.status, unserved.body);
  }
  await world.gate.cleared();
  await takeUpload(world, request, response, route);
}

/** Clones: said so, before a byte is taken. */
function unservedKind(request: IncomingMessage, route: UploadRoute): { status: number; body: string } | undefined {
  const kind = request.headers[contentTypeHeader];
  if (!cloneContentTypes.some((one) => one === kind)) return undefined;
  if (route.isAsync) return { status: 500, body: "async clone not supported" };
  return { status: 501, body: `Saving stream failed: ${String(kind)} is not supported by this release` };
}

interface Body {
  readonly fileName: string;
  readonly sizeBytes?: number;
  readonly bytes: Readable;
  readonly release: () => Promise<void>;
}

/** @throws BadForm */
async function bodyOf(request: IncomingMessage, response: ServerResponse, { isForm }: UploadRoute): Promise<Body> {
  tellToGoOn(request, response);
  if (isForm) return await filePart(request);
  const length = request.headers["content-length"];
  const disposition = request.headers["content-disposition"] ?? "";
  return {
    fileName: /;\s*filename="?([^";]+)/i.exec(disposition)?.[1] ?? "",
    ...(length === undefined ? {} : { sizeBytes: Number(length) }),
    bytes: request,
    release: () => Promise.resolve(),
  };
}

async function takeUpload(
  world: ServerWorld,
  request: IncomingMessage,
  response: ServerResponse,
  route: UploadRoute,
): Promise<void> {
  const { gate, receiver, settings, log } = world;
  let body: Body;
  try {
    body = await bodyOf(request, response, route);
  } catch (cause) {
    gate.reopen();
    log.warn("Refusing a form", { error: cause });
    return answer(request, response, { status: 400, body: cause instanceof BadForm ? cause.message : "bad form" });
  }
  let isAnswered = false;
  const onReceived = (): void => {
    if (!route.isAsync || isAnswered) return;
    isAnswered = true;
    gate.process();
    answer(request, response, { status: 200, body: "" }, { connection: "close" });
  };
  const { fileName, sizeBytes, bytes } = body;
  const { isArchive } = route;
  const size = sizeBytes === undefined ? {} : { sizeBytes };
  const reception = receiver.begin({ fileName, ...size, isArchive, onReceived });
  reception.body.takeFrom(bytes).then(
    () => body.release().then(() => reception.body.finish()),
    (cause: unknown) => void reception.body.destroy(faultOf(cause)),
  );
  try {
    const outcome = await reception.ended;
    await tell(world, request, response, outcome);
  } catch (cause) {
    await body.release();
    const fault = faultOf(cause);
    // The client has its 200: only a new container tells that it came to nothing.
    if (isAnswered) return world.end({ kind: "failed", fault });
    gate.reopen();
    answer(request, response, failedAnswer(fault, { listener: settings.listener, isAsync: route.isAsync }));
  }
}

async function tell(
  { gate, end }: ServerWorld,
  request: IncomingMessage,
  response: ServerResponse,
  outcome: Outcome,
): Promise<void> {
  if (outcome.kind === "scratchNeeded") answer(request, response, scratchAnswer, { "retry-after": "10" });
  else {
    gate.finish();
    answer(request, response, { status: 200, body: "" }, { connection: "close" });
  }
  await answered(response);
  end(outcome.kind === "done" ? { kind: "done", preallocated: outcome.preallocated } : { kind: "scratchNeeded" });
}
