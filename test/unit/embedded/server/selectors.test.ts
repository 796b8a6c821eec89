// Label and field selectors.
import { describe, expect, test } from "vitest";
import { kinds } from "../../../../src/api/kinds.ts";
import { builtinOf } from "../../../../src/embedded/server/registry.ts";
import { parseFieldSelector, parseLabelSelector } from "../../../../src/embedded/server/selectors.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", labels: { app: "x", tier: "web", rank: "7" } },
  status: { phase: "Running" },
};
const pods = builtinOf(kinds.pod);

describe("labels", () => {
  test.each([
    ["app=x", true],
    ["app==x", true],
    ["app=y", false],
    ["app!=y", true],
    ["other!=y", true],
    ["app", true],
    ["!app", false],
    ["!other", true],
    ["app in (x, y)", true],
    ["app in (y)", false],
    ["app notin (y),tier=web", true],
    ["other notin (y)", true],
    ["rank>6", true],
    ["rank > 7", false],
    ["rank<8", true],
    ["app>1", false],
    ["other>1", false],
    ["app=x,tier=db", false],
    ["app=x,tier in (db,web)", true],
    ["", true],
  ])("%s -> %s", (text, fits) => {
    expect(parseLabelSelector(text)(pod)).toBe(fits);
  });
  test.each(["app in x", "app=x=y", "(a)", "rank>x", "rank>"])("refuses %s", (text) => {
    expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ status: 400 }));
  });
});

describe("fields", () => {
  test.each([
    ["metadata.name=p", true],
    ["metadata.name=p,metadata.namespace=n", true],
    ["metadata.name!=p", false],
    ["status.phase=Running", true],
    ["status.phase!=Running", false],
    ["spec.nodeName=", true],
  ])("%s -> %s", (text, fits) => {
    expect(parseFieldSelector(text, pods)(pod)).toBe(fits);
  });
  test("custom resources select by name and namespace alone", () => {
    expect(() => parseFieldSelector("status.phase=x", { ...pods, custom: true, selectable: [] })).toThrow(
      expect.objectContaining({ status: 400, message: "field label not supported: status.phase" }),
    );
  });
});
