// RBAC's rules: what one allows, and what some grant beyond others.
import { describe, expect, test } from "vitest";
import type { Attributes } from "../../../../../src/embedded/server/auth/attributes.ts";
import {
  compact,
  notCovered,
  ruleAllows,
  shownRule,
  type PolicyRule,
} from "../../../../../src/embedded/server/auth/rules.ts";

const rule = (verbs: string[], apiGroups: string[], resources: string[], resourceNames: string[] = []): PolicyRule => ({
  verbs,
  apiGroups,
  resources,
  resourceNames,
});
/** "get pods/log x" in the core group. */
const asked = (words: string, group = ""): Attributes => {
  const [verb = "", what = "", name = ""] = words.split(" ");
  if (what.startsWith("/")) return { verb, path: what };
  const [resource = "", subresource = ""] = what.split("/");
  return { verb, group, version: "v1", resource, subresource, namespace: "n", name };
};

describe("a rule", () => {
  const pods = rule(["get", "list"], [""], ["pods"]);
  const everything = rule(["*"], ["*"], ["*"]);
  test.each<[string, PolicyRule, Attributes, boolean]>([
    ["allows its verb on its resource", pods, asked("get pods x"), true],
    ["allows no other verb", pods, asked("delete pods x"), false],
    ["allows no other resource", pods, asked("get secrets x"), false],
    ["allows no other group", pods, asked("get pods x", "apps"), false],
    ["does not reach subresources", pods, asked("get pods/log x"), false],
    ["names a subresource", rule(["get"], [""], ["pods/log"]), asked("get pods/log x"), true],
    ["of a subresource does not reach the resource", rule(["get"], [""], ["pods/log"]), asked("get pods x"), false],
    ["names a subresource of everything", rule(["get"], [""], ["*/scale"]), asked("get pods/scale x"), true],
    ["of such a subresource reaches no other", rule(["get"], [""], ["*/scale"]), asked("get pods/log x"), false],
    ["with a star reaches subresources", rule(["get"], [""], ["*"]), asked("get pods/log x"), true],
    ["with stars reaches everything", everything, asked("frob pods/log x", "any.io"), true],
    ["of resources reaches no path", everything, asked("get /healthz"), false],
    ["with a name allows that one", rule(["get"], [""], ["pods"], ["x"]), asked("get pods x"), true],
    ["with a name allows no other", rule(["get"], [""], ["pods"], ["x"]), asked("get pods y"), false],
    ["with a name allows no list", rule(["list"], [""], ["pods"], ["x"]), asked("list pods"), false],
    ["of a path allows it", { verbs: ["get"], nonResourceURLs: ["/healthz"] }, asked("get /healthz"), true],
    [
      "of a path allows nothing below",
      { verbs: ["get"], nonResourceURLs: ["/healthz"] },
      asked("get /healthz/a"),
      false,
    ],
    [
      "of a path with a star allows what is below",
      { verbs: ["get"], nonResourceURLs: ["/a/*"] },
      asked("get /a/b/c"),
      true,
    ],
    ["of every path allows any", { verbs: ["*"], nonResourceURLs: ["*"] }, asked("post /x"), true],
  ])("%s", (_what, one, attributes, allowed) => {
    expect(ruleAllows(one, attributes)).toBe(allowed);
  });
});

describe("what is asked beyond what is held", () => {
  test.each<[string, PolicyRule[], PolicyRule[], string[]]>([
    ["nothing", [rule(["get", "list"], [""], ["pods"])], [rule(["get"], [""], ["pods"])], []],
    ["covered by a star", [rule(["*"], ["*"], ["*"])], [rule(["get"], ["apps"], ["deployments/scale"])], []],
    [
      "covered by two rules together",
      [rule(["get"], [""], ["pods"]), rule(["list"], [""], ["pods"])],
      [rule(["get", "list"], [""], ["pods"])],
      [],
    ],
    [
      "another verb",
      [rule(["get"], [""], ["pods"])],
      [rule(["get", "delete"], [""], ["pods", "secrets"])],
      [
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
      ],
    ],
    [
      "all of it where only one by name is held",
      [rule(["get"], [""], ["pods"], ["x"])],
      [rule(["get"], [""], ["pods"])],
      ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
    ],
    ["one by name where all is held", [rule(["get"], [""], ["pods"])], [rule(["get"], [""], ["pods"], ["x"])], []],
    [
      "a star where less is held",
      [rule(["get"], [""], ["pods"])],
      [rule(["*"], ["*"], ["*"])],
      ['{APIGroups:["*"], Resources:["*"], Verbs:["*"]}'],
    ],
    [
      "a path",
      [{ verbs: ["get"], nonResourceURLs: ["/a/*"] }],
      [{ verbs: ["get"], nonResourceURLs: ["/a/b", "/c"] }],
      ['{NonResourceURLs:["/c"], Verbs:["get"]}'],
    ],
    ["a subresource of everything", [rule(["get"], [""], ["*/scale"])], [rule(["get"], [""], ["pods/scale"])], []],
  ])("%s", (_what, held, wanted, shown) => {
    expect(compact(notCovered(held, wanted)).map(shownRule)).toEqual(shown);
  });
});
