// The JSONPath of printer columns: fields, indices, [*] and filters of the form [?(@.type=="Ready")].
import { isRecord } from "./schema/structural.ts";

type Step = (values: unknown[]) => unknown[];

const piece =
  /^(?:\.((?:\\.|[^.[\]])+)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+|\*)\]|\[\?\(@((?:\.[\w-]+)+)\s*==\s*(?:"([^"]*)"|'([^']*)')\)\])/;

/** @returns the first match's value, undefined when there is none or the path cannot be read */
export function compilePath(path: string): (object: unknown) => unknown {
  const steps: Step[] = [];
  for (let rest = path.startsWith(".") || path.startsWith("[") ? path : `.${path}`; rest !== "";) {
    const match = piece.exec(rest);
    if (!match) return () => undefined;
    steps.push(stepOf(match));
    rest = rest.slice(match[0].length);
  }
  return (object) => steps.reduce((values, step) => step(values), [object])[0];
}

function stepOf([, plain, single, double, index, filter, doubleValue, singleValue]: RegExpExecArray): Step {
  if (index === "*") return (values) => values.flatMap((value) => (Array.isArray(value) ? (value as unknown[]) : []));
  if (index !== undefined)
    return (values) => values.flatMap((value) => (Array.isArray(value) ? [value[Number(index)]] : []));
  if (filter !== undefined) {
    const words = filter.split(".").slice(1);
    const wanted = doubleValue ?? singleValue;
    const fits = (one: unknown): boolean =>
      words.reduce<unknown>((at, word) => (isRecord(at) ? at[word] : undefined), one) === wanted;
    return (values) => values.flatMap((value) => (Array.isArray(value) ? (value as unknown[]).filter(fits) : []));
  }
  const name = plain?.replaceAll(/\\(.)/g, "$1") ?? single ?? double ?? "";
  return (values) => values.flatMap((value) => (isRecord(value) && Object.hasOwn(value, name) ? [value[name]] : []));
}
