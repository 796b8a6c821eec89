// How long a broken source is tried again: rows of faults and counts.
import { expect, test } from "vitest";
import { pauseAfter } from "../../../src/datapath/transfer/patience.ts";
import { Fault, type FaultCode } from "../../../src/lib/faults.ts";
import { retryAfterMs } from "../../../src/lib/http-faults.ts";

const mib = 1024 * 1024;

test.each<{ when: string; code: FaultCode; failures: number; delivered?: number; asked?: number; pause?: number }>([
  { when: "a cut", code: "SourceCut", failures: 1, delivered: mib, pause: 500 },
  { when: "the fourth cut in a row", code: "SourceCut", failures: 4, delivered: mib, pause: 4000 },
  { when: "the fifth cut in a row, with little to lose", code: "SourceCut", failures: 5, delivered: mib },
  {
    when: "the fifth cut in a row, with much to lose",
    code: "SourceCut",
    failures: 5,
    delivered: 99 * mib,
    pause: 8000,
  },
  { when: "the eighth", code: "SourceStalled", failures: 8, delivered: 99 * mib, pause: 30_000 },
  { when: "the ninth", code: "SourceStalled", failures: 9, delivered: 99 * mib },
  { when: "no connection, before any byte", code: "ConnectionFailed", failures: 2, pause: 1000 },
  { when: "still none", code: "ConnectionFailed", failures: 3 },
  { when: "a busy server", code: "SourceBusy", failures: 1, pause: 500 },
  { when: "a busy server that asks for a pause", code: "SourceBusy", failures: 1, asked: 20_000, pause: 20_000 },
  { when: "one that asks for a day", code: "SourceBusy", failures: 1, asked: 86_400_000, pause: 120_000 },
  { when: "one that asks for less than is due", code: "SourceBusy", failures: 2, asked: 1, pause: 1000 },
  { when: "404 as the first answer", code: "SourceNotFound", failures: 1 },
  { when: "404 in the middle", code: "SourceNotFound", failures: 1, delivered: 1, pause: 500 },
  { when: "another file", code: "SourceChanged", failures: 1, delivered: mib },
  { when: "a certificate nobody trusts", code: "UnknownAuthority", failures: 1, delivered: mib },
  { when: "a full target", code: "TargetFull", failures: 1, delivered: mib },
])("$when", ({ code, failures, delivered = 0, asked, pause }) => {
  const fault = new Fault(code, "x", { retryAfterMs: asked });
  expect(pauseAfter(fault, { failures, deliveredBytes: delivered })).toBe(pause);
});

test.each([
  ["120", 120_000],
  [" 0 ", 0],
  ["Wed, 21 Oct 2026 07:28:10 GMT", 10_000],
  ["Wed, 21 Oct 2026 07:00:00 GMT", 0],
  ["-5", undefined],
  ["soon", undefined],
  [undefined, undefined],
])("Retry-After %s", (text, ms) => {
  expect(retryAfterMs(text, Date.UTC(2026, 9, 21, 7, 28, 0))).toBe(ms);
});
