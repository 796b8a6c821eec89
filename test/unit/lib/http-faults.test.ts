// Errors and statuses to catalog codes, and texts that hold no secret.
import { expect, test } from "vitest";
import { contentRange } from "../../../src/lib/http.ts";
import { connectFault, exchangeFault, statusFault } from "../../../src/lib/http-faults.ts";
import { hostsFrom } from "../../../src/lib/http-hosts.ts";

const failing = (code: string): Error => Object.assign(new Error(`it says ${code}`), { code });

test.each([
  ["ENOTFOUND", "tcp", "HostUnknown"],
  ["EAI_AGAIN", "tcp", "HostUnknown"],
  ["ECONNREFUSED", "tcp", "ConnectionFailed"],
  ["ETIMEDOUT", "tcp", "ConnectionFailed"],
  ["EHOSTUNREACH", "tcp", "ConnectionFailed"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls", "UnknownAuthority"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "tls", "UnknownAuthority"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls", "UnknownAuthority"],
  ["CERT_HAS_EXPIRED", "tls", "CertificateExpired"],
  ["CERT_NOT_YET_VALID", "tls", "CertificateExpired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "tls", "CertificateWrongName"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "tls", "TlsFailed"],
  ["ECONNRESET", "tls", "TlsFailed"],
] as const)("%s while connecting (%s) is %s", (code, phase, fault) => {
  const made = connectFault(failing(code), phase, "https://h:1");
  expect(made.code).toBe(fault);
  expect(made.message).toContain("https://h:1");
  expect(made.message).toContain(`it says ${code}`);
});

test("an error with one cause for each address takes the first one's code and tells all", () => {
  const made = connectFault(new AggregateError([failing("ECONNREFUSED"), failing("ENETUNREACH")]), "tcp", "http://h:1");
  expect(made.code).toBe("ConnectionFailed");
  expect(made.message).toContain("it says ECONNREFUSED, it says ENETUNREACH");
});

test.each([
  ["UND_ERR_HEADERS_TIMEOUT", false, "SourceStalled"],
  ["UND_ERR_BODY_TIMEOUT", true, "SourceStalled"],
  ["UND_ERR_SOCKET", true, "SourceCut"],
  ["UND_ERR_SOCKET", false, "SourceCut"],
  ["ECONNRESET", true, "SourceCut"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", true, "SourceCut"],
  ["HPE_INVALID_CONSTANT", false, "ConnectionFailed"],
  ["HPE_INVALID_CHUNK_SIZE", true, "SourceCut"],
])("%s in an exchange (answered: %s) is %s", (code, answered, fault) => {
  const state = { where: "http://h/x", answered, receivedBytes: 5, announcedBytes: 10 };
  expect(exchangeFault(failing(code), state).code).toBe(fault);
});

test.each([
  [401, "Unauthorized", "SourceUnauthorized"],
  [403, "Forbidden", "SourceForbidden"],
  [404, "Not Found", "SourceNotFound"],
  [410, "Gone", "SourceGone"],
  [408, "Request Timeout", "SourceBusy"],
  [425, "Too Early", "SourceBusy"],
  [429, "Too Many Requests", "SourceBusy"],
  [500, "Internal Server Error", "SourceBusy"],
  [503, "Service Unavailable", "SourceBusy"],
  [300, "Multiple Choices", "SourceRefused"],
  [418, "I'm a Teapot", "SourceRefused"],
])("status %i is upstream's text and its own code", (status, statusText, code) => {
  const made = statusFault({ status, statusText, keptPrivate: true });
  expect({ code: made.code, message: made.message }).toEqual({
    code,
    message: `expected status code 200, got ${status}. Status: ${status} ${statusText}`,
  });
});

test("a refusal after credentials were held back says so, other statuses do not", () => {
  const fault = (status: number) => statusFault({ status, statusText: "X", keptPrivate: false }).message;
  expect(fault(401)).toContain("credentials and custom headers are not sent");
  expect(fault(403)).toContain("credentials and custom headers are not sent");
  expect(fault(404)).toBe("expected status code 200, got 404. Status: 404 X");
});

test.each([
  ["bytes 0-9/10", { first: 0, last: 9, total: 10 }],
  ["bytes 5-9/*", { first: 5, last: 9, total: undefined }],
  ["bytes */10", undefined],
  ["lines 0-1/2", undefined],
  [undefined, undefined],
])("Content-Range %s", (text, seen) => {
  expect(contentRange(text)).toEqual(seen);
});

test("a hosts file answers for its names and no others", () => {
  const hosts = hostsFrom("# c\n127.0.0.2 one One.Test # x\n\n::1\tone\nnonsense two\n");
  expect([hosts("ONE"), hosts("one.test"), hosts("two"), hosts("x")]).toEqual([
    ["127.0.0.2", "::1"],
    ["127.0.0.2"],
    undefined,
    undefined,
  ]);
});
