// What takes more than one question: the words such rows are written in.
import { expect, test } from "vitest";
import type { Api, WatchLine } from "./cluster.ts";
import { askOf } from "./place.ts";

export type Body = Record<string, unknown> & { metadata: Record<string, unknown> };
export interface Flow {
  readonly when: string;
  run(api: Api): Promise<void>;
}

let serial = 0;
export const fresh = (): string => `flow-${(serial += 1)}`;
export const slow = { timeout: 60_000 };

/** Asks, and expects this code. */
export async function ask(
  api: Api,
  code: number,
  words: string,
  body?: unknown,
  headers?: Record<string, string>,
): Promise<Body> {
  const reply = await api.send(askOf(words, body, headers));
  expect(reply.code, `${words}: ${reply.text}`).toBe(code);
  return (reply.body ?? {}) as Body;
}
export const namesIn = (list: Body): unknown[] => (list["items"] as Body[]).map(({ metadata }) => metadata["name"]);
export const merge = { "content-type": "application/merge-patch+json" };
export const wordsOf = (lines: readonly WatchLine[]): string[] =>
  lines.map(({ type, object }) => `${type} ${String(object.metadata?.["name"])}`);
export const versionOf = async (api: Api, place: string): Promise<string> =>
  String((await ask(api, 200, `GET ${place}?limit=1`)).metadata["resourceVersion"]);
export const codeOf = async (api: Api, words: string, headers?: Record<string, string>): Promise<number> =>
  (await api.send(askOf(words, undefined, headers))).code;

/** Runs each against the API. */
export function flowsMustHold(api: () => Api, rows: readonly Flow[]): void {
  test.each(rows.map((flow) => [flow.when, flow] as const))("%s", async (_when, flow) => {
    await flow.run(api());
  });
}
