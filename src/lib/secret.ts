// A credential that cannot print itself: logs, JSON and template strings all see "[secret]".
import { inspect } from "node:util";

export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The one way to the value; call it only where the bytes go on the wire. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[secret]";
  }
  toJSON(): string {
    return "[secret]";
  }
  [inspect.custom](): string {
    return "[secret]";
  }
}

/** A URL as it may be shown: no user, password, query or fragment (presigned URLs carry keys in the query). */
export function shownUrl(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed) return "(not a URL)";
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}
