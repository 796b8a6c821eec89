// What the proxy decides before a byte passes: paths, readiness of the claim, browsers' questions.
import { expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { Claim } from "../../../src/api/core.ts";
import { escaped } from "../../../uploadproxy/handle.ts";
import { answerHeaders, isPreflight, preflightHeaders } from "../../../uploadproxy/cors.ts";
import { serverPathOf, wayOf } from "../../../uploadproxy/paths.ts";
import { readinessOf, untilReady } from "../../../uploadproxy/readiness.ts";
import { aClaim } from "../../support/objects.ts";
import { testClock } from "../../support/test-clock.ts";

test.each([
  { path: "/v1beta1/upload", content: "kubevirt", leads: "/v1beta1/upload" },
  { path: "/v1alpha1/upload", content: undefined, leads: "/v1alpha1/upload" },
  { path: "/v1beta1/upload-async", content: "", leads: "/v1beta1/upload-async" },
  { path: "/v1beta1/upload-form", content: "kubevirt", leads: "/v1beta1/upload-form" },
  { path: "/v1alpha1/upload-form-async", content: "kubevirt", leads: "/v1alpha1/upload-form-async" },
  { path: "/v1beta1/upload-async", content: "archive", leads: "/v1beta1/upload-archive" },
  { path: "/v1alpha1/upload-form", content: "archive", leads: "/v1alpha1/upload-archive" },
  { path: "/v1beta1/upload-archive", content: "archive", leads: undefined },
  { path: "/v1beta1/upload-tus", content: "kubevirt", leads: "/v1beta1/upload-tus" },
  { path: "/v1beta1/upload-tus/abc-1", content: "kubevirt", leads: "/v1beta1/upload-tus/abc-1" },
  { path: "/v1beta1/upload-tus/../upload", content: "kubevirt", leads: undefined },
  { path: "/v1beta2/upload", content: "kubevirt", leads: undefined },
  { path: "/", content: "kubevirt", leads: undefined },
])("$path of a claim with content type $content leads to $leads", ({ path, content, leads }) => {
  const way = wayOf(path);
  expect(way && serverPathOf(way, content)).toBe(leads);
});

const target = (more: Record<string, string> = {}): Claim =>
  aClaim({ annotations: { [annotations.uploadTarget]: "", ...more } });

test.each([
  { when: "no claim", claim: undefined, is: { refused: "rejecting Upload Request for PVC disk that doesn't exist" } },
  { when: "not a target", claim: aClaim(), is: { refused: "PVC disk is not an upload target" } },
  {
    when: "done",
    claim: target({ [annotations.podPhase]: "Succeeded", [annotations.podReady]: "true" }),
    is: { refused: "rejecting Upload Request for PVC disk that already finished uploading" },
  },
  { when: "no pod yet", claim: target(), is: { wait: "context deadline exceeded" } },
  {
    when: "pod not ready",
    claim: target({ [annotations.podReady]: "false" }),
    is: { wait: "context deadline exceeded" },
  },
  {
    when: "ready",
    claim: target({ [annotations.podReady]: "true" }),
    is: { ready: true, contentType: "kubevirt" },
  },
  {
    when: "ready for an archive",
    claim: target({ [annotations.podReady]: "true", [annotations.contentType]: "archive" }),
    is: { ready: true, contentType: "archive" },
  },
  {
    when: "ready for something else",
    claim: target({ [annotations.podReady]: "true", [annotations.contentType]: "iso" }),
    is: { refused: "rejecting upload request for PVC disk - upload content-type iso is invalid" },
  },
])("a claim: $when", ({ claim, is }) => expect(readinessOf("disk", claim)).toEqual(is));

test("a claim that gets ready is waited for, one that does not is given up after ten seconds", async () => {
  const { signal } = new AbortController();
  const clock = testClock();
  let looks = 0;
  const later = async (): Promise<Claim> => {
    looks += 1;
    return Promise.resolve(target(looks > 3 ? { [annotations.podReady]: "true" } : {}));
  };
  const ready = untilReady("disk", later, clock, signal);
  for (let step = 0; step < 12; step += 1) await clock.advance(1000);
  expect(await ready).toEqual({ claim: "disk", contentType: "kubevirt" });
  expect(looks).toBe(4);
  const never = untilReady("disk", async () => Promise.resolve(target()), clock, signal);
  for (let step = 0; step < 12; step += 1) await clock.advance(1000);
  expect(await never).toEqual({ refused: "context deadline exceeded" });
});

test("a populator's own claim is looked at in its target's place", async () => {
  const { signal } = new AbortController();
  const spec = { dataSourceRef: { apiGroup: "cdi.kubevirt.io", kind: "VolumeUploadSource", name: "x" } };
  const claims: Record<string, Claim> = {
    disk: aClaim({ spec, annotations: { [annotations.populatorPrime]: "prime-1" } }),
    "prime-1": target({ [annotations.podReady]: "true" }),
  };
  const read = async (name: string): Promise<Claim | undefined> => Promise.resolve(claims[name]);
  expect(await untilReady("disk", read, testClock(), signal)).toEqual({ claim: "prime-1", contentType: "kubevirt" });
});

test("texts are escaped as Go escapes them", () =>
  expect(escaped(`<a> & 'b' "c"`)).toBe("&lt;a&gt; &amp; &#39;b&#39; &#34;c&#34;"));

test("a browser's question is answered with what it asked for", () => {
  const asked = { "access-control-request-method": "PATCH", "access-control-request-headers": "authorization,x-y" };
  expect(isPreflight("OPTIONS", asked)).toBe(true);
  expect(isPreflight("OPTIONS", {})).toBe(false);
  expect(isPreflight("POST", asked)).toBe(false);
  expect(preflightHeaders(asked)).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "PATCH",
    "access-control-allow-headers": "authorization,x-y",
  });
  expect(preflightHeaders(asked)).not.toHaveProperty("access-control-allow-credentials");
  expect(answerHeaders({}, false)).toEqual({ vary: "Origin" });
  expect(answerHeaders({ origin: "https://a.test" }, true)).toMatchObject({ "access-control-allow-origin": "*" });
});
