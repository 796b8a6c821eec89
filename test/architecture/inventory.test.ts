// docs/reference/upstream-behaviours.md against the inventory's row numbers: no row lost, counts right, named tests exist.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "./sources.ts";

const states = ["covered", "not yet", "does not apply"] as const;

interface Row {
  row: string;
  ids: string;
  state: string;
  where: string;
}

const page = readFileSync(join(root, "docs/reference/upstream-behaviours.md"), "utf8");
const rows = rowsOf(page);
const inventory = readFileSync(join(root, "fixtures/upstream-inventory.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

function rowsOf(text: string): Row[] {
  return text.split("\n").flatMap((line) => {
    const cells = line.split("|").map((cell) => cell.trim());
    const [, row = "", ids = "", , state = "", where = ""] = cells;
    return /^\d+(\.\d+)?-\d+$/.test(row) ? [{ row, ids, state, where }] : [];
  });
}

function countOf(text: string, state: string): number {
  return Number(new RegExp(`^\\| ${state} \\| (\\d+) \\|$`, "m").exec(text)?.[1]);
}

/** What is wrong with where a row points: a covered one names a test's file (or the table it runs) and a title in it, one that does not apply a reason. */
function complaintAbout({ state, where }: Row, read: (path: string) => string | undefined): string | undefined {
  if (state === "not yet") return where === "" ? undefined : "points somewhere, and is not yet covered";
  if (state === "does not apply") return where === "" ? "gives no reason" : undefined;
  const named = [...where.matchAll(/`(test\/[^`]+\.ts)` "([^"]+)"/g)];
  if (named.length === 0) return "names no test";
  const missing = named.find(([, path = "", title = ""]) => !read(path)?.includes(title));
  return missing ? `names a test that is not there: ${missing[0]}` : undefined;
}

const stored = (path: string): string | undefined =>
  existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined;

describe("upstream's behaviours", () => {
  test("every row of the inventory is listed once, in order", () => {
    expect(rows.map(({ row, ids }) => `${row} ${ids}`)).toEqual(inventory);
  });

  test("every row has one of three states", () => {
    expect(rows.filter(({ state }) => !(states as readonly string[]).includes(state))).toEqual([]);
  });

  test.each(states)("the count of %j at the top is right", (state) => {
    expect(countOf(page, state)).toBe(rows.filter((row) => row.state === state).length);
  });

  test("the sum at the top is right", () => {
    expect(countOf(page, "all")).toBe(rows.length);
  });

  test("every covered row names a test that exists, every other says what it must", () => {
    const wrong = rows
      .map((row) => [row.row, complaintAbout(row, stored)])
      .filter(([, complaint]) => complaint !== undefined);
    expect(wrong).toEqual([]);
  });
});

describe("this test can fail", () => {
  const read = (path: string) => (path === "test/a.test.ts" ? `test("it works", ...)` : undefined);
  test.each([
    { when: "a test that is there", row: '| 1-01 | - | x | covered | `test/a.test.ts` "it works" |', wrong: false },
    { when: "a title that is not", row: '| 1-01 | - | x | covered | `test/a.test.ts` "it flies" |', wrong: true },
    { when: "a file that is not", row: '| 1-01 | - | x | covered | `test/b.test.ts` "it works" |', wrong: true },
    { when: "nothing named", row: "| 1-01 | - | x | covered | |", wrong: true },
    { when: "no reason", row: "| 1-01 | - | x | does not apply | |", wrong: true },
  ])("$when", ({ row, wrong }) => {
    const [parsed] = rowsOf(row);
    expect(parsed && complaintAbout(parsed, read) !== undefined).toBe(wrong);
  });
});
