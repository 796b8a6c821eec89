// RBAC's rules, pure: what a rule allows, and what some rules grant beyond others. Source: Kubernetes' rbac validation.
import { isPath, type Attributes } from "./attributes.ts";

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const holds = (set: readonly string[] | undefined, one: string): boolean =>
  set?.includes("*") === true || set?.includes(one) === true;

const urlFits = (pattern: string, path: string): boolean =>
  pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)));

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!holds(rule.verbs, attributes.verb)) return false;
  if (isPath(attributes)) return (rule.nonResourceURLs ?? []).some((pattern) => urlFits(pattern, attributes.path));
  const { group, resource, subresource, name } = attributes;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const names = rule.resourceNames ?? [];
  return (
    holds(rule.apiGroups, group) &&
    (holds(rule.resources, what) || (subresource !== "" && rule.resources?.includes(`*/${subresource}`) === true)) &&
    (names.length === 0 || names.includes(name))
  );
}

/** The parts of `asked` that no rule of `held` covers, each with one verb, one group and one resource. */
export const notCovered = (held: readonly PolicyRule[], asked: readonly PolicyRule[]): PolicyRule[] =>
  asked.flatMap(parts).filter((part) => !held.some((rule) => covers(rule, part)));

function parts(rule: PolicyRule): PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const names = resourceNames.length > 0 ? resourceNames.map((name) => ({ resourceNames: [name] })) : [{}];
  return [
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) =>
          names.map((named) => ({ apiGroups: [group], resources: [resource], ...named, verbs: [verb] })),
        ),
      ),
    ),
    ...nonResourceURLs.flatMap((url) => verbs.map((verb) => ({ nonResourceURLs: [url], verbs: [verb] }))),
  ];
}

function covers(rule: PolicyRule, part: PolicyRule): boolean {
  const all = (set: readonly string[] | undefined, wanted: readonly string[] = []): boolean =>
    wanted.every((one) => holds(set, one));
  const subresources = (part.resources ?? []).every((resource) => {
    const [, ...sub] = resource.split("/");
    return (
      holds(rule.resources, resource) || (sub.length > 0 && rule.resources?.includes(`*/${sub.join("/")}`) === true)
    );
  });
  const names = rule.resourceNames ?? [];
  const named = part.resourceNames ?? [];
  return (
    all(rule.verbs, part.verbs) &&
    all(rule.apiGroups, part.apiGroups) &&
    subresources &&
    (part.nonResourceURLs ?? []).every((url) =>
      (rule.nonResourceURLs ?? []).some((pattern) => urlFits(pattern, url)),
    ) &&
    (names.length === 0 || (named.length > 0 && named.every((name) => names.includes(name))))
  );
}

/** Rules of one verb joined where all else is the same, in the order in which they first came. */
export function compact(rules: readonly PolicyRule[]): PolicyRule[] {
  const joined = new Map<string, PolicyRule>();
  for (const { verbs, ...rest } of rules) {
    const key = JSON.stringify(rest);
    const known = joined.get(key);
    joined.set(key, { ...rest, verbs: [...new Set([...(known?.verbs ?? []), ...verbs])] });
  }
  return [...joined.values()];
}

/** As Go prints a list of quoted texts. */
export const quotedList = (words: readonly string[]): string =>
  `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;

export function shownRule(rule: PolicyRule): string {
  const fields = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ] as const;
  const shown = fields.flatMap(([name, words]) => (words && words.length > 0 ? [`${name}:${quotedList(words)}`] : []));
  return `{${shown.join(", ")}}`;
}
