// What the network's errors and statuses mean, as two tables: error code to fault, status to fault.
import { Fault, type FaultCode } from "./faults.ts";

const connectCodes: Readonly<Record<string, FaultCode>> = {
  ENOTFOUND: "HostUnknown",
  EAI_AGAIN: "HostUnknown",
  EAI_FAIL: "HostUnknown",
  EAI_NODATA: "HostUnknown",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "UnknownAuthority",
  UNABLE_TO_GET_ISSUER_CERT: "UnknownAuthority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "UnknownAuthority",
  SELF_SIGNED_CERT_IN_CHAIN: "UnknownAuthority",
  DEPTH_ZERO_SELF_SIGNED_CERT: "UnknownAuthority",
  CERT_UNTRUSTED: "UnknownAuthority",
  CERT_SIGNATURE_FAILURE: "UnknownAuthority",
  INVALID_CA: "UnknownAuthority",
  CERT_HAS_EXPIRED: "CertificateExpired",
  CERT_NOT_YET_VALID: "CertificateExpired",
  ERR_TLS_CERT_ALTNAME_INVALID: "CertificateWrongName",
  HOSTNAME_MISMATCH: "CertificateWrongName",
};

const messageOf = (error: unknown): string => {
  // Happy eyeballs: one error per address, and an empty message of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ");
  return error instanceof Error ? error.message : String(error);
};
const codeOf = (error: unknown): string => {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code !== undefined) return code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  // undici's parser errors come without a code when the parser itself gives none.
  return error instanceof Error ? error.name : "";
};

/** @param phase decides what an error without a row of its own means. @param where "https://host:port", no secrets */
export function connectFault(error: unknown, phase: "tcp" | "tls", where: string): Fault {
  if (error instanceof Fault) return error;
  const code = connectCodes[codeOf(error)] ?? (phase === "tls" ? "TlsFailed" : "ConnectionFailed");
  const act = phase === "tls" ? "TLS handshake with" : "connecting to";
  return new Fault(code, `${act} ${where} failed: ${messageOf(error)}`, { cause: error });
}

/** How far an exchange had come when it failed. */
export interface ExchangeState {
  /** Shown form of the URL. */
  readonly where: string;
  readonly answered: boolean;
  readonly receivedBytes: number;
  readonly announcedBytes: number | undefined;
}

/** An error between "request sent" and "last byte". */
export function exchangeFault(error: unknown, state: ExchangeState): Fault {
  if (error instanceof Fault) return error;
  const { where, answered, receivedBytes, announcedBytes } = state;
  const code = codeOf(error);
  const of = announcedBytes === undefined ? "" : ` of ${announcedBytes}`;
  const at = answered ? `after ${receivedBytes}${of} bytes` : "before it answered";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
    return new Fault("SourceStalled", `${where} stopped sending ${at}`, { cause: error });
  }
  if (!answered && (code.startsWith("HPE_") || code === "HTTPParserError")) {
    return new Fault("ConnectionFailed", `${where} does not answer in HTTP: ${messageOf(error)}`, { cause: error });
  }
  return new Fault("SourceCut", `${where} ended the connection ${at}: ${messageOf(error)}`, { cause: error });
}

const statusCodes: Readonly<Record<number, FaultCode>> = {
  401: "SourceUnauthorized",
  403: "SourceForbidden",
  404: "SourceNotFound",
  408: "SourceBusy",
  410: "SourceGone",
  425: "SourceBusy",
  429: "SourceBusy",
};

/** The facts of an answer that decide its fault. */
export interface StatusFacts {
  readonly status: number;
  readonly statusText: string;
  /** False when credentials or custom headers were held back after a redirect. */
  readonly keptPrivate: boolean;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A status that is no success; the text is upstream's, word for word. */
export function statusFault(answer: StatusFacts): Fault {
  const { status, statusText, keptPrivate, headers } = answer;
  const code = statusCodes[status] ?? (status >= 500 ? "SourceBusy" : "SourceRefused");
  const dropped =
    !keptPrivate && (status === 401 || status === 403)
      ? ". The server redirected to another origin, where credentials and custom headers are not sent"
      : "";
  const text = `expected status code 200, got ${status}. Status: ${status} ${statusText}${dropped}`;
  return new Fault(code, text, { retryAfterMs: retryAfterMs(headers?.["retry-after"], Date.now()) });
}

/** @param text of a Retry-After header: seconds, or a date. @returns ms from `nowMs`; undefined for anything else */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1000;
  // A day of the week stands first; Date.parse takes much else for a date.
  const dueMs = /^\s*[a-z]{3}/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dueMs) ? undefined : Math.max(0, dueMs - nowMs);
}
