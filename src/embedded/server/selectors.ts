// Label and field selectors: text -> predicate. Source: apimachinery labels.Parse and fields.ParseSelector.
import type { KubeObject } from "../../api/meta.ts";
import { badRequest, type ApiError } from "./errors.ts";
import type { Resource } from "./resource.ts";
import { isRecord } from "./schema/structural.ts";

export type Predicate = (object: KubeObject) => boolean;

const setTerm = /^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$/;
const orderTerm = /^\s*([^\s!=<>,()]+)\s*([<>])\s*(\S*)\s*$/;
const equalTerm = /^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s=!,()]*)\s*$/;
const existsTerm = /^\s*(!?)\s*([^\s!=,()]+)\s*$/;

/** @throws ApiError 400 */
export function parseLabelSelector(text: string): Predicate {
  const terms = text
    .split(/,(?![^()]*\))/)
    .filter((term) => term.trim() !== "")
    .map(labelTerm);
  return (object) => terms.every((term) => term(object.metadata.labels ?? {}));
}

function labelTerm(term: string): (labels: Record<string, string>) => boolean {
  const set = setTerm.exec(term);
  if (set) {
    const [, name = "", operator, list = ""] = set;
    const values = list.split(",").map((value) => value.trim());
    return (labels) => values.includes(labels[name] ?? "\0") === (operator === "in");
  }
  const order = orderTerm.exec(term);
  if (order) {
    const [, name = "", operator, text = ""] = order;
    if (!/^-?\d+$/.test(text)) throw badRequest("for 'Gt', 'Lt' operators, the value must be an integer");
    const limit = BigInt(text);
    return (labels) => {
      const value = labels[name];
      if (value === undefined || !/^-?\d+$/.test(value)) return false;
      return operator === ">" ? BigInt(value) > limit : BigInt(value) < limit;
    };
  }
  const equal = equalTerm.exec(term);
  if (equal) {
    const [, name = "", operator, value] = equal;
    return (labels) => (labels[name] === value) === (operator !== "!=");
  }
  const exists = existsTerm.exec(term);
  if (!exists) throw badRequest(`unable to parse requirement: ${JSON.stringify(term)}`);
  const [, not, name = ""] = exists;
  return (labels) => (labels[name] !== undefined) === (not === "");
}

const common = ["metadata.name", "metadata.namespace"];

/** Few fields can be selected by, and each kind has its own. @throws ApiError 400 */
export function parseFieldSelector(text: string, resource: Resource): Predicate {
  const terms = text
    .split(",")
    .filter((term) => term.trim() !== "")
    .map((term) => {
      const match = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(term);
      if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const [, path = "", operator, value] = match;
      if (!common.includes(path) && !resource.selectable?.includes(path)) throw unknownField(path, resource);
      const words = path.split(".");
      return (object: KubeObject) => (fieldOf(object, words) === value) === (operator !== "!=");
    });
  return (object) => terms.every((term) => term(object));
}

const unknownField = (path: string, { custom, selectable }: Resource): ApiError =>
  custom || selectable
    ? badRequest(`field label not supported: ${path}`)
    : badRequest(`"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`);

function fieldOf(object: KubeObject, words: readonly string[]): string {
  let at: unknown = object;
  for (const word of words) at = isRecord(at) ? at[word] : undefined;
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? String(at) : "";
}
