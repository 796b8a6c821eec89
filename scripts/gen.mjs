// `npm run gen [-- --check]`: writes the generated files, or with --check says which would change and fails.
import { pinnedNode } from "./lib/packages.mjs";
import { root, run } from "./lib/run.mjs";

try {
  process.exitCode = await run(pinnedNode(), ["scripts/gen/main.ts", ...process.argv.slice(2)], {
    cwd: root,
    mayFail: true,
  });
} catch (error) {
  console.error(`npm run gen: ${error.message}`);
  process.exitCode = 1;
}
