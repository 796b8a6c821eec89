// Holds the direction table: reads every import of what is shipped and compares it with rules.ts.
import { describe, expect, test } from "vitest";
import { mayImport, packageDoors, startable, typesOnly, withoutDoor } from "./rules.ts";
import { importsOf, packageOf, roomOf, shippedFiles, type Import, type SourceFile } from "./sources.ts";

const files = shippedFiles();
const imports = files.flatMap(importsOf);
const shown = ({ from, to }: Import): string => `${from} imports ${to}`;

function wrongDirection(list: readonly Import[]): string[] {
  const wrong = list.filter(({ from, to, own }) => {
    const [here, there] = [roomOf(from), roomOf(to)];
    if (!own || here === there || to === "package.json") return false;
    if (here === "programs" && startable.includes(there)) return false;
    return !mayImport[here]?.includes(there);
  });
  return wrong.map(shown);
}

function pastTheDoor(list: readonly Import[]): string[] {
  const wrong = list.filter(({ from, to, own }) => {
    const there = roomOf(to);
    if (!own || there === "" || there === roomOf(from) || withoutDoor.includes(there)) return false;
    return to !== `src/${there}/index.ts` && to !== `${there}/index.ts`;
  });
  return wrong.map(shown);
}

function wrongPackage(list: readonly Import[]): string[] {
  const wrong = list.filter(({ from, to, own }) => {
    const name = own ? "" : packageOf(to);
    return name !== "" && !packageDoors[name]?.some((door) => door.test(from));
  });
  return wrong.map(shown);
}

function cycleIn(list: readonly Import[]): string[] {
  const edges = new Map<string, Set<string>>();
  for (const { from, to, own } of list) {
    const [here, there] = [roomOf(from), roomOf(to)];
    if (own && here !== there) edges.set(here, (edges.get(here) ?? new Set()).add(there));
  }
  const done = new Set<string>();
  const walk = (room: string, path: readonly string[]): string[] => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room];
    if (done.has(room)) return [];
    for (const next of edges.get(room) ?? []) {
      const found = walk(next, [...path, room]);
      if (found.length > 0) return found;
    }
    done.add(room);
    return [];
  };
  return [...edges.keys()].map((room) => walk(room, [])).find((found) => found.length > 0) ?? [];
}

/** "src/console/x.ts has a value import of api": only `import type` lets no code through. */
function valueImports({ path, text }: SourceFile): string[] {
  const rooms = typesOnly[roomOf(path)] ?? [];
  const statements = text.match(/^[ \t]*(?:import|export)\b(?! type\b)[^;"']*?from\s*["'][^"'\n]+["']/gm) ?? [];
  const found = statements.flatMap((statement) => importsOf({ path, text: statement }));
  return found.filter(({ to, own }) => own && rooms.includes(roomOf(to))).map(shown);
}

describe("rooms", () => {
  test("every folder of src is a room of the table", () => {
    const rooms = new Set(files.map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => !(room in mayImport))).toEqual([]);
    expect(rooms.size).toBeGreaterThan(3);
  });

  test("each imports only what the table allows", () => {
    expect(wrongDirection(imports)).toEqual([]);
  });

  test("each is entered by its door", () => {
    expect(pastTheDoor(imports)).toEqual([]);
  });

  test("a program starts one room", () => {
    const started = new Map<string, Set<string>>();
    for (const { from, to, own } of imports) {
      const program = /^src\/programs\/([^/]+)/.exec(from)?.[1];
      if (!own || program === undefined || !startable.includes(roomOf(to))) continue;
      started.set(program, (started.get(program) ?? new Set()).add(roomOf(to)));
    }
    expect([...started].filter(([, rooms]) => rooms.size > 1)).toEqual([]);
  });

  test("some are imported for their types only", () => {
    expect(files.flatMap(valueImports)).toEqual([]);
  });

  test("no room reaches itself again", () => {
    expect(cycleIn(imports)).toEqual([]);
  });
});

describe("packages", () => {
  test("each is imported at its one door", () => {
    expect(wrongPackage(imports)).toEqual([]);
  });
});

describe("these tests can fail", () => {
  const importing = (path: string, text: string): Import[] => importsOf({ path, text });
  const kubeDoor = `import { apply } from "../src/kube/index.ts";`;
  test.each<[string, string[], number]>([
    ["a data program that imports kube", wrongDirection(importing("importer/main.ts", kubeDoor)), 1],
    ["a type import counts", wrongDirection(importing("src/lib/a.ts", `import type { A } from "../api/a.ts";`)), 1],
    ["a dynamic import counts", wrongDirection(importing("src/lib/a.ts", `await import("../kube/index.ts")`)), 1],
    ["a re-export counts", wrongDirection(importing("src/lib/a.ts", `export * from "../api/a.ts";`)), 1],
    [
      "an import over several lines counts",
      wrongDirection(importing("src/lib/a.ts", `import {\n  a,\n  b,\n} from "../api/a.ts";`)),
      1,
    ],
    [
      "code of src that imports a test",
      wrongDirection(importing("src/lib/a.ts", `import "../../test/support/a.ts";`)),
      1,
    ],
    ["a commented import does not", wrongDirection(importing("src/lib/a.ts", `// import "../api/a.ts"`)), 0],
    ["a file behind a door", pastTheDoor(importing("src/cli/up.ts", `import { a } from "../kube/apply.ts";`)), 1],
    [
      "a file of a room without door",
      pastTheDoor(importing("src/cli/up.ts", `import { a } from "../lib/clock.ts";`)),
      0,
    ],
    ["a package elsewhere", wrongPackage(importing("src/cli/up.ts", `import { request } from "undici";`)), 1],
    ["a package at its door", wrongPackage(importing("src/lib/http.ts", `import { request } from "undici";`)), 0],
    ["a package nobody listed", wrongPackage(importing("src/lib/a.ts", `import x from "left-pad/sub";`)), 1],
    ["a required package", wrongPackage(importing("src/lib/a.ts", `const x = require("koffi");`)), 1],
    ["a module of node", wrongPackage(importing("src/lib/a.ts", `import fs from "node:fs";`)), 0],
    [
      "a value import of a types-only room",
      valueImports({ path: "src/console/a.ts", text: `import { a } from "../api/a.ts";` }),
      1,
    ],
    [
      "a type import of it",
      valueImports({ path: "src/console/a.ts", text: `import type { A } from "../api/a.ts";` }),
      0,
    ],
  ])("%s", (_when, found, count) => {
    expect(found).toHaveLength(count);
  });

  test("a cycle of three rooms is told in order", () => {
    const edge = (a: string, b: string): Import => ({ from: `src/${a}/x.ts`, to: `src/${b}/index.ts`, own: true });
    expect(cycleIn([edge("a", "b"), edge("b", "c"), edge("c", "a")])).toEqual(["a", "b", "c", "a"]);
    expect(cycleIn([edge("a", "b"), edge("a", "c"), edge("b", "c")])).toEqual([]);
  });
});
