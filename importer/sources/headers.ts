// Extra header lines as users write them ("Name: value"), checked before anything is sent.
import { validateHeaderName, validateHeaderValue } from "node:http";
import { Fault } from "../../src/lib/faults.ts";
import type { Header } from "../../src/lib/http.ts";
import type { Log } from "../../src/lib/log.ts";
import type { Secret } from "../../src/lib/secret.ts";

/** Headers the exchange itself depends on. */
const ours: readonly string[] = [
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "if-range",
  "keep-alive",
  "proxy-authorization",
  "range",
  "te",
  "transfer-encoding",
  "upgrade",
];

/**
 * Splits at the first colon; white space around the value is not part of it in HTTP. A line without a colon is passed over
 * with a warning, as upstream passes over it. @throws Fault ConfigInvalid, never quoting a value
 */
export function parseHeaders(lines: readonly string[], secretLines: readonly Secret[], log: Log): Header[] {
  return [...lines, ...secretLines.map((secret) => secret.reveal())].flatMap((line, index) => {
    const at = line.indexOf(":");
    if (at > 0) return [checkedHeader(line.slice(0, at).trim(), line.slice(at + 1).trim(), index)];
    log.warn("Passing over an extra header without a name", { index });
    return [];
  });
}

function checkedHeader(name: string, value: string, index: number): Header {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    // The error quotes the line, which may be a secret: only its place is told.
    throw new Fault("ConfigInvalid", `extra header ${index} is not a valid HTTP header`);
  }
  if (ours.includes(name.toLowerCase())) {
    throw new Fault("ConfigInvalid", `extra header ${index}: ${name} is set by the importer itself`);
  }
  return [name, value];
}
