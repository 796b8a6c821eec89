// Label selectors as objects: what an aggregationRule selects.
import { expect, test } from "vitest";
import { labelsFit } from "../../../../../src/embedded/server/auth/aggregate-roles.ts";

const labels = { app: "x", tier: "web" };
const expression = (key: string, operator: string, values?: string[]): object => ({
  matchExpressions: [{ key, operator, ...(values ? { values } : {}) }],
});

test.each<[string, object, boolean]>([
  ["nothing asked", {}, true],
  ["labels that are there", { matchLabels: { app: "x" } }, true],
  ["one label of another value", { matchLabels: { app: "x", tier: "db" } }, false],
  ["in a list", expression("app", "In", ["x", "y"]), true],
  ["in another list", expression("app", "In", ["y"]), false],
  ["absent, in a list", expression("none", "In", ["y"]), false],
  ["not in a list", expression("app", "NotIn", ["y"]), true],
  ["absent, not in a list", expression("none", "NotIn", ["y"]), true],
  ["there", expression("app", "Exists"), true],
  ["absent, where it should be there", expression("none", "Exists"), false],
  ["absent", expression("none", "DoesNotExist"), true],
  ["there, where it should be absent", expression("app", "DoesNotExist"), false],
  ["an operator nobody knows", expression("app", "Near"), false],
  ["labels and expressions together", { matchLabels: { app: "x" }, ...expression("tier", "NotIn", ["web"]) }, false],
])("%s", (_what, selector, fits) => {
  expect(labelsFit(selector, labels)).toBe(fits);
});
