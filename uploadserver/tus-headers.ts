// The words of tus 1.0 (https://tus.io/protocols/resumable-upload): headers in, headers out. Pure.
import type { IncomingHttpHeaders } from "node:http";

export const tusVersion = "1.0.0";
export const patchType = "application/offset+octet-stream";
export const spoken = { "tus-resumable": tusVersion } as const;
export const discovery = {
  ...spoken,
  "tus-version": tusVersion,
  "tus-extension": "creation,termination,expiration",
} as const;

/** A count of bytes in a header; undefined when it is absent or no count. */
export function countIn(headers: IncomingHttpHeaders, name: string): number | undefined {
  const text = headers[name];
  if (typeof text !== "string" || !/^\d{1,16}$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}

/** `filename` (or `name`) of Upload-Metadata, "" when there is none. */
export function fileNameIn(headers: IncomingHttpHeaders): string {
  const text = headers["upload-metadata"];
  if (typeof text !== "string") return "";
  const pairs = new Map(
    text.split(",").map((pair): [string, string] => {
      const [key = "", value = ""] = pair.trim().split(/\s+/);
      return [key, value];
    }),
  );
  const value = pairs.get("filename") ?? pairs.get("name") ?? "";
  return Buffer.from(value, "base64").toString("utf8").slice(0, 1024);
}

/** Relative, so that it holds behind whatever a proxy puts before the path. @param path the request's */
export const locationOf = (path: string, id: string): string => (path.endsWith("/") ? id : `upload-tus/${id}`);
