// Browsers of any origin may upload: a token is needed, cookies are not looked at (interfaces/upload.md section 2.3, row 1).
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

export const isPreflight = (method: string | undefined, headers: IncomingHttpHeaders): boolean =>
  method === "OPTIONS" && headers["access-control-request-method"] !== undefined;

/** A day: browsers ask again after it at the latest. */
const maxAgeSeconds = 86_400;

export function preflightHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const asked = headers["access-control-request-headers"];
  return {
    vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    "access-control-allow-origin": "*",
    "access-control-allow-methods": headers["access-control-request-method"] ?? "",
    ...(asked === undefined ? {} : { "access-control-allow-headers": asked }),
    "access-control-max-age": String(maxAgeSeconds),
  };
}

/** What a page may read of a resumable upload's answers. */
const exposed =
  "Location, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Expires, Upload-Defer-Length, " +
  "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Retry-After";

export const answerHeaders = (headers: IncomingHttpHeaders, isResumable: boolean): OutgoingHttpHeaders => ({
  vary: "Origin",
  ...(headers.origin === undefined
    ? {}
    : {
        "access-control-allow-origin": "*",
        ...(isResumable ? { "access-control-expose-headers": exposed } : {}),
      }),
});
