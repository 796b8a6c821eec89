// Writes every generated file from its source of truth, or (--check) tells which are out of step.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { builtinTypes } from "./builtin-types.ts";
import { controllerYaml, crdYamls } from "./manifests.ts";
import { crdsPage } from "./crds-page.ts";
import { faultsPage } from "./faults-page.ts";

const root = join(import.meta.dirname, "../..");

/** path -> content. */
export const generated: Readonly<Record<string, () => string>> = {
  ...crdYamls(),
  "manifests/controller.yaml": controllerYaml,
  "docs/reference/crds.md": crdsPage,
  "src/embedded/server/builtins/builtin-types.ts": builtinTypes,
  "docs/reference/faults.md": faultsPage,
};

function stored(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

const stale = Object.entries(generated)
  .map(([path, make]) => ({ path, text: make() }))
  .filter(({ path, text }) => stored(path) !== text);

if (process.argv.includes("--check")) {
  for (const { path } of stale) console.error(`out of step: ${path} (npm run gen)`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const { path, text } of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
  if (stale.length === 0) console.log("nothing to write: every generated file is in step");
}
