// The log writer: one JSON object a line, secrets hidden, verbosity as klog counts it.
import { expect, test } from "vitest";
import { Fault } from "../../../src/lib/faults.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { levelOf, makeLog } from "../../../src/telemetry/index.ts";

function gathered(verbosity?: number) {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { lines, log: makeLog({ name: "test", stream, ...(verbosity === undefined ? {} : { verbosity }) }) };
}

test("a line holds level, time, program, message and facts", () => {
  const { lines, log } = gathered();
  log.with({ claim: "a/b" }).warn("Looking again", { attempt: 2 });
  expect(lines).toEqual([
    {
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      program: "test",
      claim: "a/b",
      attempt: 2,
      msg: "Looking again",
    },
  ]);
});

test("a secret prints as [secret], also deep inside", () => {
  const { lines, log } = gathered();
  log.info("Connecting", { password: new Secret("hunter2"), nested: { headers: [new Secret("hunter2")] } });
  expect(JSON.stringify(lines)).not.toContain("hunter2");
  expect(lines[0]).toMatchObject({ password: "[secret]", nested: { headers: ["[secret]"] } });
});

test.each([
  ["http://user:hunter2@proxy.test:3128", "http://[secret]@proxy.test:3128"],
  ["see https://hunter2@host/path?a=b@c for more", "see https://[secret]@host/path?a=b@c for more"],
  ["http://u:p@hunter2@host", "http://[secret]@host"],
  ["docker://quay.io/a@sha256:00", "docker://quay.io/a@sha256:00"],
])("the user part of a URL is not shown: %s", (given, shown) => {
  const { lines, log } = gathered();
  log.info("Patching", { body: { spec: { deep: [given] } }, error: new Error(given) });
  expect(lines[0]).toMatchObject({ body: { spec: { deep: [shown] } }, error: { message: shown } });
  expect(JSON.stringify(lines)).not.toContain("hunter2");
});

test("an error is told with code and causes", () => {
  const { lines, log } = gathered();
  const cause = Object.assign(new Error("connect refused"), { code: "ECONNREFUSED" });
  log.error("Failed", { error: new Fault("ConnectionFailed", "no server at host", { cause }) });
  expect(lines[0]).toMatchObject({
    error: { name: "Fault", code: "ConnectionFailed", message: "no server at host", cause: { code: "ECONNREFUSED" } },
  });
});

test.each([
  { verbosity: 0, level: "info", debugLines: 0 },
  { verbosity: 1, level: "info", debugLines: 0 },
  { verbosity: 3, level: "debug", debugLines: 1 },
  { verbosity: 9, level: "debug", debugLines: 1 },
])("-v=$verbosity is level $level", ({ verbosity, level, debugLines }) => {
  const { lines, log } = gathered(verbosity);
  log.debug("detail");
  expect({ level: levelOf(verbosity), debugLines: lines.length }).toEqual({ level, debugLines });
});
