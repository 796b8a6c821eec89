// `npm run bench [-- NAME ...] [-- --OPTION=VALUE ...]`: builds, then runs the named benches (all by default), hands them the
// options, and leaves their figures as JSON in .cache/bench/.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./lib/run.mjs";
import { pinnedNode } from "./lib/packages.mjs";
import { setUp } from "./setup.mjs";

const isOption = (word) => word.startsWith("--");
const asked = process.argv.slice(2).filter((word) => !isOption(word));
const options = process.argv.slice(2).filter(isOption);
const names = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".bench.ts"))
  .map((file) => file.replace(".bench.ts", ""));
try {
  const unknown = asked.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no bench is called ${unknown.join(", ")}; there are: ${names.join(", ")}`);
  await setUp();
  mkdirSync(join(root, ".cache", "bench"), { recursive: true });
  for (const name of names.filter((each) => asked.length === 0 || asked.includes(each))) {
    await run(pinnedNode(), [join(root, "bench", `${name}.bench.ts`), ...options], { cwd: root });
  }
} catch (error) {
  console.error(`npm run bench: ${error.message}`);
  process.exitCode = 1;
}
