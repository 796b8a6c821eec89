// One situation of the API: what is there before, what is asked, and what a kube-apiserver answers.
import { expect, test } from "vitest";
import type { Api, Reply } from "./cluster.ts";
import { askOf } from "./place.ts";

export interface Answer {
  readonly code: number;
  /** Status.reason. */
  readonly reason?: string;
  /** The whole text, or what it must look like. */
  readonly message?: string | RegExp;
  /** Matched against the body. */
  readonly body?: object;
  /** Matched against the whole text. */
  readonly text?: RegExp;
  /** Names of the list's items, in order. */
  readonly names?: readonly string[];
  /** Fields of Status.details.causes, sorted. */
  readonly fields?: readonly string[];
  /** Fields that the body must not have, dotted. */
  readonly without?: readonly string[];
  /** null: there must be none. */
  readonly warning?: RegExp | null;
}
interface Asking {
  readonly ask: string;
  readonly send?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface Row extends Answer {
  readonly when: string;
  /** Created before, in order; "kind in place: object". */
  readonly given?: readonly (readonly [string, object])[];
  /** "METHOD place/name?query"; $n is a name of this row's own, $rv and $uid are those of what was given last. */
  readonly ask: string;
  readonly send?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked afterwards. */
  readonly after?: readonly (Asking & Answer)[];
  /** What servers before this minor version answer instead, where they differ. */
  readonly before?: { readonly minor: number } & Answer;
}

let serial = 0;
const filled = <T>(value: T, words: Readonly<Record<string, string>>): T => {
  const put = (text: string): string =>
    Object.entries(words).reduce((whole, [name, word]) => whole.replaceAll(`$${name}`, word), text);
  if (typeof value === "string") return put(value) as T;
  if (value instanceof RegExp) return new RegExp(put(value.source), value.flags) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => filled(one, words)) as T;
  // Matchers of vitest are objects too, with a prototype of their own.
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [put(name), filled(one as unknown, words)]),
  ) as T;
};

export function rowsMustHold(api: () => Api, rows: readonly Row[]): void {
  test.each(rows.map((row) => [row.when, row] as const))("%s", async (_when, row) => {
    serial += 1;
    const words: Record<string, string> = { n: `row-${serial}` };
    for (const [place, object] of row.given ?? []) {
      const made = await api().send(askOf(filled(`POST ${place}`, words), filled(object, words)));
      expect(made.code, made.text).toBe(201);
      const { resourceVersion, uid } = (made.body?.["metadata"] ?? {}) as Record<string, string>;
      Object.assign(words, { rv: resourceVersion, uid });
    }
    const { before, after = [], ...whole } = filled(row, words);
    const reply = await api().send(askOf(whole.ask, whole.send, whole.headers));
    check(reply, before && api().minor < before.minor ? before : whole);
    for (const next of after) check(await api().send(askOf(next.ask, next.send, next.headers)), next);
  });
}

function check(reply: Reply, answer: Answer): void {
  const { body, text } = reply;
  expect(reply.code, text).toBe(answer.code);
  if (answer.reason !== undefined)
    expect(body).toMatchObject({ kind: "Status", status: "Failure", reason: answer.reason, code: answer.code });
  if (typeof answer.message === "string") expect(body?.["message"]).toBe(answer.message);
  else if (answer.message) expect(body?.["message"]).toMatch(answer.message);
  if (answer.body) expect(body).toMatchObject(answer.body);
  if (answer.text) expect(text).toMatch(answer.text);
  if (answer.names) {
    const items = (body?.["items"] ?? []) as { metadata: { name: string } }[];
    expect(items.map(({ metadata }) => metadata.name)).toEqual(answer.names);
  }
  if (answer.fields) {
    const { causes = [] } = (body?.["details"] ?? {}) as { causes?: { field: string }[] };
    expect([...new Set(causes.map(({ field }) => field))].toSorted()).toEqual(answer.fields);
  }
  for (const path of answer.without ?? []) expect(body).not.toHaveProperty(path);
  if (answer.warning === null) expect(reply.headers["warning"]).toBeUndefined();
  else if (answer.warning) expect(String(reply.headers["warning"])).toMatch(answer.warning);
}
