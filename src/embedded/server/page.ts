// Lists in pages, and lists as of a revision: the rows of then are those of now with the changes since taken back.
import type { Row } from "../store/index.ts";
import { ApiError, badRequest, wrongListOptions } from "./errors.ts";
import { selecting, type Selection } from "./read.ts";
import { collectionPrefix, type Resource } from "./resource.ts";
import { shownIn, valueOf, type Shown, type World } from "./world.ts";

export interface PageRequest extends Selection {
  /** At most so many; 0 or absent: all. */
  limit?: number | undefined;
  continue?: string | undefined;
  resourceVersion?: string | undefined;
  resourceVersionMatch?: string | undefined;
}
export interface Page {
  readonly revision: number;
  readonly items: Shown[];
  readonly continue?: string;
  /** Told only where nothing is selected, as on the real server. */
  readonly remainingItemCount?: number;
}

interface Place {
  /** -1: whatever is there now. */
  readonly revision: number;
  /** The key of the last item given. */
  readonly after: string;
}

const writePlace = ({ revision, after }: Place): string =>
  Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: revision, start: after })).toString("base64url");

/** @throws ApiError 400 */
function readPlace(token: string): Place {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, "base64url").toString()) as Record<string, unknown>;
    if (v === "meta.k8s.io/v1" && typeof rv === "number" && typeof start === "string")
      return { revision: rv, after: start };
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw badRequest("continue key is not valid: the token was not given by this server");
}

/** @throws ApiError 400, 410 for a revision of which the history is gone, 422, 504 for one that is still to come */
export function listPage(world: World, resource: Resource, namespace: string | undefined, request: PageRequest): Page {
  const prefix = collectionPrefix(resource, namespace);
  const { place, revision } = startOf(world, prefix, request);
  const fits = selecting(resource, request);
  const rows = revision === world.store.revision ? world.store.list(prefix) : rowsAt(world, prefix, revision);
  if (!rows)
    throw request.continue ? tooOldToken(place) : tooOld("The resourceVersion for the provided list is too old.");
  const wanted = fits ? rows.filter((row) => fits(valueOf(row))) : rows;
  const rest = place ? wanted.filter(({ key }) => key > place.after) : wanted;
  const { limit = 0 } = request;
  const given = limit > 0 ? rest.slice(0, limit) : rest;
  const last = given.at(-1);
  const page = { revision, items: given.map((row) => shownIn(resource, row)) };
  if (given.length === rest.length || !last) return page;
  const more = { ...page, continue: writePlace({ revision, after: last.key }) };
  return fits ? more : { ...more, remainingItemCount: rest.length - given.length };
}

function startOf(world: World, prefix: string, request: PageRequest): { place?: Place; revision: number } {
  const { resourceVersion = "", resourceVersionMatch = "" } = request;
  const newest = world.store.revision;
  if (request.continue) {
    if (resourceVersion !== "" && resourceVersion !== "0")
      throw badRequest("specifying resource version is not allowed when using continue");
    const place = readPlace(request.continue);
    if (!place.after.startsWith(prefix)) throw badRequest("continue key is not valid: it is of another list");
    return { place, revision: place.revision < 0 ? newest : place.revision };
  }
  if (resourceVersionMatch !== "") checkMatch(resourceVersionMatch, resourceVersion);
  if (resourceVersion === "") return { revision: newest };
  const asked = revisionIn(resourceVersion);
  if (asked > newest) throw tooLarge(asked, newest);
  return { revision: resourceVersionMatch === "Exact" ? asked : newest };
}

/** @throws ApiError 400 */
export function revisionIn(text: string): number {
  if (!/^\d+$/.test(text)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`);
  return Number(text);
}

function checkMatch(match: string, resourceVersion: string): void {
  const field = "resourceVersionMatch";
  if (match !== "Exact" && match !== "NotOlderThan") {
    const why = `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`;
    throw wrongListOptions(field, why, "FieldValueNotSupported");
  }
  const why =
    resourceVersion === ""
      ? "resourceVersionMatch is forbidden unless resourceVersion is provided"
      : resourceVersion === "0" && match === "Exact"
        ? 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        : undefined;
  if (why !== undefined) throw wrongListOptions(field, `Forbidden: ${why}`, "FieldValueForbidden");
}

/** @returns undefined when the history does not reach back that far */
function rowsAt({ store }: World, prefix: string, revision: number): Row[] | undefined {
  const changes = store.since(revision);
  if (!changes) return undefined;
  const rows = new Map(store.list(prefix).map((row) => [row.key, row]));
  for (const { key, before } of changes.toReversed()) {
    if (!key.startsWith(prefix)) continue;
    if (before) rows.set(key, before);
    else rows.delete(key);
  }
  return [...rows.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

const tooOld = (message: string): ApiError => new ApiError(410, "Expired", message);
function tooOldToken(place: Place | undefined): ApiError {
  const message =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the " +
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing " +
    "with the provided token results in an inconsistent list - objects that were created, modified, or deleted between " +
    "the time the first chunk was returned and now may show up in the list.";
  return new ApiError(410, "Expired", message, undefined, {
    continue: writePlace({ revision: -1, after: place?.after ?? "" }),
  });
}
export const tooLarge = (asked: number, newest: number): ApiError => {
  const message = `Too large resource version: ${asked}, current: ${newest}`;
  return new ApiError(504, "Timeout", `Timeout: ${message}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
};
