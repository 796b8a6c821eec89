// Where a redirect leads and what may travel along: a pure decision, so that each situation is a row in a test.
import { Fault } from "./faults.ts";
import { shownUrl } from "./secret.ts";

/** curl allows 50, browsers 20; no honest download needs more. */
export const maxRedirects = 10;

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];
/** 300 and 304 are no redirects: 300 offers a choice, 304 answers a condition that was never sent. */
export const isRedirect = (status: number, location: string | undefined): location is string =>
  location !== undefined && redirectStatuses.includes(status);

/** One step of a chain. URLs are whole here, secrets included. */
export interface Hop {
  readonly url: URL;
  /** URLs asked before this one. */
  readonly visited: readonly string[];
  /** False once a hop left the origin; it never becomes true again. */
  readonly keepsPrivate: boolean;
}

export const firstHop = (url: URL): Hop => ({ url, visited: [], keepsPrivate: true });

/** @throws Fault RedirectRefused: a loop, too many hops, or a target that is not http or https */
export function nextHop(from: Hop, location: string): Hop {
  const start = shownUrl(from.visited[0] ?? from.url.href);
  const url = URL.parse(location, from.url.href);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new Fault("RedirectRefused", `${start} redirects to something that is not an http or https URL`);
  }
  url.hash = "";
  const visited = [...from.visited, from.url.href];
  if (visited.includes(url.href)) throw new Fault("RedirectRefused", `${start} redirects in a loop`);
  if (visited.length > maxRedirects) {
    throw new Fault("RedirectRefused", `${start} redirects more than ${maxRedirects} times`);
  }
  return { url, visited, keepsPrivate: from.keepsPrivate && mayKeep(from.url, url) };
}

/** Nothing changes, or the scheme rises from http to https on the same host. A fall to http loses them: it can be read. */
function mayKeep(from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true;
  return from.protocol === "http:" && to.protocol === "https:" && from.hostname === to.hostname;
}
