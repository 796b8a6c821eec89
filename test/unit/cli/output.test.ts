// How a failure is said: object, text and exit status, for each kind of error that reaches the command line.
import { Writable } from "node:stream";
import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { failureOf, formAskedFor, outputForm, tellFailure, UsageError } from "../../../src/cli/output.ts";
import { Fault } from "../../../src/lib/faults.ts";
import { Cancelled } from "../../../src/lib/run-program.ts";

test.each([
  {
    when: "a fault",
    error: new Fault("TargetFull", "full"),
    exit: 92,
    code: "TargetFull",
    message: "full",
    retryable: true,
  },
  {
    when: "a fault inside an error",
    error: new Error("outer", { cause: new Fault("NotAnImage", "a page") }),
    exit: 68,
    code: "NotAnImage",
    message: "a page",
    retryable: false,
  },
  {
    when: "any other error",
    error: new TypeError("oops"),
    exit: 1,
    code: "Unclassified",
    message: "oops",
    retryable: true,
  },
  {
    when: "a usage error",
    error: new UsageError("bad flag"),
    exit: 2,
    code: "ConfigInvalid",
    message: "bad flag",
    retryable: false,
  },
  {
    when: "commander's error",
    error: new CommanderError(1, "commander.unknownOption", "error: unknown option '--x'"),
    exit: 2,
    code: "ConfigInvalid",
    message: "unknown option '--x'",
    retryable: false,
  },
])("$when", ({ error, exit, when: _when, ...said }) => {
  const answer = failureOf(error);
  expect(answer).toMatchObject({ exit, failure: { ok: false, ...said } });
  expect(answer.failure.remedy).not.toBe("");
});

test("what was stopped says so, whatever broke on the way", () => {
  const signal = AbortSignal.abort(new Cancelled("SIGINT"));
  expect(failureOf(new Error("premature close"), signal)).toMatchObject({
    exit: 1,
    failure: { message: "stopped by SIGINT", retryable: true },
  });
});

test("text goes to stderr, the object to stdout", () => {
  const told = (form: "text" | "json") => {
    const written = { stdout: "", stderr: "", exit: 0 };
    const into = (name: "stdout" | "stderr") =>
      new Writable({ write: (chunk: Buffer, _, done) => ((written[name] += chunk.toString()), done()) });
    const signal = new AbortController().signal;
    const endWith = (status: number) => void (written.exit = status);
    const surroundings = { stdout: into("stdout"), stderr: into("stderr"), env: {}, signal, endWith };
    tellFailure(new Fault("HostUnknown", "no host x"), form, surroundings);
    return written;
  };
  const remedy = "Check the host name.";
  expect(told("text")).toEqual({
    stdout: "",
    stderr: `cdi: no host x\n  code: HostUnknown\n  remedy: ${remedy}\n`,
    exit: 84,
  });
  expect(told("json")).toEqual({
    stdout: `${JSON.stringify({ ok: false, code: "HostUnknown", message: "no host x", remedy, retryable: true })}\n`,
    stderr: "",
    exit: 84,
  });
});

test.each([
  { args: ["import", "--output", "json"], form: "json" },
  { args: ["import", "--output=json", "--nonsense"], form: "json" },
  { args: ["import", "json"], form: "text" },
])("a call too wrong to be read is answered in the form it asks for: $args", ({ args, form }) => {
  expect(formAskedFor(args)).toBe(form);
});

test("--output takes two words", () => {
  expect(() => outputForm("yaml")).toThrow(UsageError);
});
