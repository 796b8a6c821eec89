// Sets of field paths in the form managedFields keep them (FieldsV1): a tree of "f:name", "k:{keys}" and "v:value"; a node is
// a member when it is empty or holds ".". Source: structured-merge-diff, fieldpath.

export interface FieldSet {
  readonly [element: string]: FieldSet;
}
type Draft = Record<string, FieldSet>;

const self = ".";
const leaf: FieldSet = Object.freeze({});

export const emptySet: FieldSet = leaf;
/** For a whole set; within one an empty node is a member. */
export const isEmptySet = (set: FieldSet): boolean => Object.keys(set).length === 0;
const isMember = (node: FieldSet): boolean => node[self] !== undefined || isEmptySet(node);
const childrenOf = (node: FieldSet): [string, FieldSet][] => Object.entries(node).filter(([name]) => name !== self);

/** @returns undefined for a node that holds nothing */
function nodeOf(member: boolean, children: readonly (readonly [string, FieldSet])[]): FieldSet | undefined {
  if (children.length === 0) return member ? leaf : undefined;
  return Object.fromEntries(member ? [[self, leaf] as const, ...children] : children);
}

/** Adds a path to a set under construction. */
export function insertPath(set: FieldSet, path: readonly string[]): void {
  let at = set as Draft;
  for (const [depth, element] of path.entries()) {
    const known = at[element];
    const isLast = depth === path.length - 1;
    if (known === undefined) at[element] = {};
    // What is there and empty is a member already; what will not stay empty has to say so.
    else if (!isLast && isEmptySet(known)) at[element] = { [self]: leaf };
    else if (isLast && !isMember(known)) (known as Draft)[self] = leaf;
    at = at[element] as Draft;
  }
}

export const hasPath = (set: FieldSet, path: readonly string[]): boolean => {
  const node = path.reduce<FieldSet | undefined>((at, element) => at?.[element], set);
  return node !== undefined && isMember(node);
};

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const out: Draft = Object.fromEntries(childrenOf(a));
  for (const [name, node] of childrenOf(b)) {
    const known = out[name];
    out[name] = known === undefined ? node : unionOfNodes(known, node);
  }
  return out;
}
const unionOfNodes = (a: FieldSet, b: FieldSet): FieldSet =>
  nodeOf(isMember(a) || isMember(b), childrenOf(union(a, b))) ?? leaf;

const combine = (set: FieldSet, each: (name: string, node: FieldSet) => FieldSet | undefined): FieldSet =>
  Object.fromEntries(
    childrenOf(set).flatMap(([name, node]) => {
      const kept = each(name, node);
      return kept === undefined ? [] : [[name, kept] as const];
    }),
  );

/** Members of `a` that are no members of `b`. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet =>
  combine(a, (name, node) => {
    const other = b[name];
    if (other === undefined) return node;
    return nodeOf(isMember(node) && !isMember(other), childrenOf(difference(node, other)));
  });

export const intersection = (a: FieldSet, b: FieldSet): FieldSet =>
  combine(a, (name, node) => {
    const other = b[name];
    if (other === undefined) return undefined;
    return nodeOf(isMember(node) && isMember(other), childrenOf(intersection(node, other)));
  });

/** Without the members of `b` and all below them. */
export const without = (a: FieldSet, b: FieldSet): FieldSet =>
  combine(a, (name, node) => {
    const other = b[name];
    if (other === undefined) return node;
    return isMember(other) ? undefined : nodeOf(isMember(node), childrenOf(without(node, other)));
  });

export const sameSet = (a: FieldSet, b: FieldSet): boolean =>
  isEmptySet(difference(a, b)) && isEmptySet(difference(b, a));

/** Members as clients read them: .spec.containers[name="a"].image */
export function shownPaths(set: FieldSet, prefix = ""): string[] {
  return childrenOf(set)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([element, node]) => {
      const path = `${prefix}${shownElement(element)}`;
      return [...(isMember(node) ? [path] : []), ...shownPaths(node, path)];
    });
}

function shownElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
}
