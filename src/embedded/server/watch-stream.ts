// A watch as a stream of JSON lines: objects, table rows or metadata alone, bookmarks, and an end.
import type { ServerResponse } from "node:http";
import { statusOf, wrongListOptions } from "./errors.ts";
import { selecting } from "./read.ts";
import type { Shape } from "./media.ts";
import type { Target } from "./request.ts";
import { partialOf, tableOf } from "./tables.ts";
import { openWatch } from "./watch.ts";
import { KubeError } from "../../kube/index.ts";
import type { Shown, World } from "./world.ts";

export interface StreamOptions {
  query: URLSearchParams;
  shape: Shape;
  /** Aborts when the server closes. */
  signal: AbortSignal;
}

/** A reader that lets this much pile up is dropped; it may come back and resume. */
const backlogLimitBytes = 32 * 1024 * 1024;
const bookmarkEveryMs = 60_000;
/** Before the end of a watch, as the real server does. */
const lastBookmarkMs = 2000;
/** How long a watch lasts that names no time of its own. */
const defaultTimeoutSeconds = 30 * 60;

export function streamWatch(
  world: World,
  { resource, namespace, name }: Target,
  response: ServerResponse,
  options: StreamOptions,
): void {
  const { query, shape, signal } = options;
  // While its token was looked at: it does not tell so again.
  if (response.destroyed) return;
  const ended = new AbortController();
  const end = (): void => {
    ended.abort();
    response.end();
  };
  let headless = false;
  const lineOf = (type: string, shown: Shown): string => {
    if (shape.as === "object") return `{"type":"${type}","object":${shown.text}}\n`;
    if (shape.as !== "Table") return `${JSON.stringify({ type, object: partialOf(shown.value) })}\n`;
    const include = query.get("includeObject") ?? undefined;
    const { resourceVersion } = shown.value.metadata;
    const object = tableOf(
      resource,
      [shown],
      { resourceVersion },
      { version: shape.version, include, nowMs: world.clock.now(), headless },
    );
    headless = true;
    return `${JSON.stringify({ type, object })}\n`;
  };
  const write = (line: string): void => {
    if (ended.signal.aborted) return;
    response.write(line);
    if (response.writableLength > backlogLimitBytes) end();
  };
  // A reader drops what it takes for older than a bookmark: one must not run ahead of changes still on their way to the disk.
  const opened = startOf(query) ?? world.store.revision;
  const bookmark = (annotations?: Record<string, string>): void => {
    const { apiVersion, kind } = resource;
    const metadata = {
      resourceVersion: String(Math.max(opened, world.store.toldRevision)),
      creationTimestamp: null,
      ...(annotations ? { annotations } : {}),
    };
    write(`${JSON.stringify({ type: "BOOKMARK", object: { kind, apiVersion, metadata } })}\n`);
  };

  // What is wrong with the request itself is told before the stream begins.
  const fieldSelector = [query.get("fieldSelector"), name && `metadata.name=${name}`].filter(Boolean).join(",");
  const labelSelector = query.get("labelSelector") ?? undefined;
  selecting(resource, { labelSelector, fieldSelector });
  checkOptions(query);
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
  response.flushHeaders();
  try {
    const close = openWatch(
      world,
      resource,
      { namespace, labelSelector, fieldSelector, from: startOf(query) },
      (type, shown) => write(lineOf(type, shown)),
    );
    if (ended.signal.aborted) {
      close();
      return;
    }
    ended.signal.addEventListener("abort", close, { once: true });
  } catch (cause) {
    if (!(cause instanceof KubeError)) world.log.error("Watch cannot be opened", { cause });
    write(`${JSON.stringify({ type: "ERROR", object: statusOf(cause).body })}\n`);
    end();
    return;
  }
  const bookmarks = query.get("allowWatchBookmarks") === "true" && shape.as === "object";
  if (query.get("sendInitialEvents") === "true") bookmark({ "k8s.io/initial-events-end": "true" });

  const asked = Number(query.get("timeoutSeconds") ?? 0);
  const lasts = (asked > 0 ? asked : defaultTimeoutSeconds) * 1000;
  const timeout = setTimeout(end, lasts);
  // One more shortly before the end, so that the next watch begins where this one stopped.
  const beforeEnd =
    bookmarks && lasts > lastBookmarkMs ? setTimeout(() => bookmark(), lasts - lastBookmarkMs) : undefined;
  const ticker = bookmarks ? setInterval(() => bookmark(), bookmarkEveryMs) : undefined;
  signal.addEventListener("abort", end, { once: true });
  ended.signal.addEventListener(
    "abort",
    () => {
      clearTimeout(timeout);
      clearTimeout(beforeEnd);
      clearInterval(ticker);
      signal.removeEventListener("abort", end);
    },
    { once: true },
  );
  response.on("close", end);
}

/** @throws ApiError 422 */
function checkOptions(query: URLSearchParams): void {
  if (!query.get("resourceVersionMatch") || query.has("sendInitialEvents")) return;
  const why = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
  throw wrongListOptions("resourceVersionMatch", why, "FieldValueForbidden");
}

/** @returns undefined when everything there is comes first */
function startOf(query: URLSearchParams): number | undefined {
  const text = query.get("resourceVersion") ?? "";
  if (text === "" || text === "0" || query.get("sendInitialEvents") === "true") return undefined;
  return Number(text);
}
