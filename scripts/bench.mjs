// `npm run bench [-- NAME ...]`: builds, then runs the named benches (all by default) and writes their figures as JSON.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./lib/run.mjs";
import { pinnedNode } from "./lib/packages.mjs";
import { setUp } from "./setup.mjs";

const asked = process.argv.slice(2);
const benches = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".bench.ts"))
  .filter((file) => asked.length === 0 || asked.includes(file.replace(".bench.ts", "")));
try {
  if (benches.length === 0) throw new Error(`no bench is called ${asked.join(", ")}`);
  await setUp();
  mkdirSync(join(root, ".cache", "bench"), { recursive: true });
  for (const file of benches) await run(pinnedNode(), [join(root, "bench", file)], { cwd: root });
} catch (error) {
  console.error(`npm run bench: ${error.message}`);
  process.exitCode = 1;
}
