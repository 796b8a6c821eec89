import { describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import { eventName } from "../../../src/kube/events.ts";
import { refusalOf } from "../../../src/kube/http-calls.ts";
import { jsonLines } from "../../../src/kube/json-lines.ts";
import { mayTake } from "../../../src/kube/lease.ts";
import { isSame, mergeDiff } from "../../../src/kube/merge-diff.ts";
import { collectionPath, objectPath, queryOf } from "../../../src/kube/paths.ts";
import { aClaim } from "../../support/objects.ts";

describe("lines of JSON", () => {
  async function linesOf(chunks: Uint8Array[]): Promise<unknown[]> {
    const lines: unknown[] = [];
    for await (const line of jsonLines(
      (async function* () {
        yield* chunks;
      })(),
    ))
      lines.push(line);
    return lines;
  }
  const text = Buffer.from('{"a":"ä\\n€"}\n\n{"b":2}\n{"c":3}');
  test.each([1, 2, 3, 7, 100])("cut every %i bytes", async (size) => {
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
      text.subarray(at * size, (at + 1) * size),
    );
    expect(await linesOf(chunks)).toEqual([{ a: "ä\n€" }, { b: 2 }, { c: 3 }]);
  });
  test.each(["not json\n", '{"a":1}\n{"b"'])("%j is an error, not dropped", async (bad) => {
    await expect(linesOf([Buffer.from(bad)])).rejects.toThrow(SyntaxError);
  });
});

describe("merge patches", () => {
  test.each([
    { when: "nothing", before: { a: 1, b: { c: [1] } }, after: { a: 1, b: { c: [1] } }, patch: undefined },
    { when: "undefined is absent", before: { a: undefined }, after: {}, patch: undefined },
    { when: "a field", before: { a: 1, b: 2 }, after: { a: 1, b: 3 }, patch: { b: 3 } },
    { when: "a field gone", before: { a: 1, b: 2 }, after: { a: 1 }, patch: { b: null } },
    { when: "inside", before: { a: { x: 1, y: 2 } }, after: { a: { x: 1, z: 3 } }, patch: { a: { y: null, z: 3 } } },
    { when: "a list whole", before: { a: [1, 2] }, after: { a: [1] }, patch: { a: [1] } },
    { when: "from nothing", before: undefined, after: { a: 1 }, patch: { a: 1 } },
  ])("$when", ({ before, after, patch }) => expect(mergeDiff(before, after)).toEqual(patch));
  test("order of fields is no difference", () => expect(isSame({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true));
});

test("paths", () => {
  expect(collectionPath(kinds.pod)).toBe("/api/v1/pods");
  expect(collectionPath(kinds.pod, "a")).toBe("/api/v1/namespaces/a/pods");
  expect(collectionPath(kinds.storageClass, "ignored")).toBe("/apis/storage.k8s.io/v1/storageclasses");
  expect(objectPath({ kind: kinds.dataVolume, namespace: "a", name: "b" }, "status")).toBe(
    "/apis/cdi.kubevirt.io/v1beta1/namespaces/a/datavolumes/b/status",
  );
  expect(queryOf({ a: 1, b: undefined, c: "x=y" })).toBe("?a=1&c=x%3Dy");
});

test.each([
  {
    body: '{"kind":"Status","code":409,"reason":"AlreadyExists","message":"there"}',
    reason: "AlreadyExists",
    message: "there",
  },
  { body: "<html>", reason: "Unknown", message: "GET /: status 409: <html>" },
])("a refusal is read from $body", ({ body, reason, message }) => {
  expect(refusalOf(409, body, "GET /")).toMatchObject({ status: 409, reason, message });
});

test("events that say the same bear one name", () => {
  const telling = { about: aClaim(), type: "Normal", reason: "A", message: "b" } as const;
  expect(eventName(telling)).toBe(eventName({ ...telling, about: aClaim() }));
  expect(eventName(telling)).not.toBe(eventName({ ...telling, message: "c" }));
  expect(eventName({ ...telling, about: aClaim({ metadata: { name: "n".repeat(253) } }) }).length).toBeLessThanOrEqual(
    253,
  );
});

test.each([
  { when: "free", spec: {}, seen: undefined, now: 0, may: true },
  { when: "given back", spec: { holderIdentity: "" }, seen: undefined, now: 0, may: true },
  { when: "ours", spec: { holderIdentity: "me" }, seen: undefined, now: 0, may: true },
  {
    when: "just seen",
    spec: { holderIdentity: "you", renewTime: "a", leaseDurationSeconds: 15 },
    seen: { renewTime: "a", sinceMs: 0 },
    now: 15_000,
    may: false,
  },
  {
    when: "not renewed for its time",
    spec: { holderIdentity: "you", renewTime: "a", leaseDurationSeconds: 15 },
    seen: { renewTime: "a", sinceMs: 0 },
    now: 15_001,
    may: true,
  },
  {
    when: "renewed since",
    spec: { holderIdentity: "you", renewTime: "b", leaseDurationSeconds: 15 },
    seen: { renewTime: "a", sinceMs: 0 },
    now: 60_000,
    may: false,
  },
])("a lease that is $when", ({ spec, seen, now, may }) => expect(mayTake(spec, seen, "me", now)).toBe(may));
