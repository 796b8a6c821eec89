// `npm run setup`: everything `npm start` needs, and nothing started.
import { join } from "node:path";
import { ensurePackages, pinnedNode } from "./lib/packages.mjs";
import { root, run } from "./lib/run.mjs";
import { ensureTools, sampleTools, startTools } from "./lib/system-tools.mjs";

export async function setUp() {
  await ensurePackages();
  await ensureTools(startTools, sampleTools);
  await run(pinnedNode(), [join(root, "scripts", "build.mjs")]);
}

if (import.meta.main ?? process.argv[1]?.endsWith("setup.mjs")) {
  await setUp().catch((error) => {
    console.error(`setup: ${error.message}`);
    process.exitCode = 1;
  });
}
