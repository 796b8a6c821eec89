// `npm run check`: the whole gate before a commit, the same everywhere. Every gate runs, each with its time; what the failed
// ones said comes last. `--gates-only` leaves out the tests, for callers that run every test anyway.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { performance } from "node:perf_hooks";
import { pinnedNode } from "./lib/packages.mjs";
import { root } from "./lib/run.mjs";

const tool = (path, ...args) => [join("node_modules", path), ...args];

const gates = [
  { name: "types", args: tool("typescript/bin/tsc", "-p", ".") },
  { name: "lint", args: tool("oxlint/bin/oxlint", "--type-aware", ".") },
  { name: "format", args: tool("prettier/bin/prettier.cjs", "--check", "--log-level", "warn", ".") },
  {
    name: "layers and unit tests",
    args: tool("vitest/vitest.mjs", "run", "test/architecture", "test/unit"),
    isTest: true,
  },
  { name: "generated files in step", args: ["scripts/gen/main.ts", "--check"] },
];

const wanted = process.argv.includes("--gates-only") ? gates.filter(({ isTest }) => !isTest) : gates;

try {
  const failed = [];
  for (const gate of wanted) {
    const { status, output, seconds } = await passThrough(gate);
    console.log(`${status === 0 ? "ok  " : "FAIL"} ${gate.name} (${seconds.toFixed(1)} s)`);
    if (status !== 0) failed.push({ name: gate.name, output });
  }
  for (const { name, output } of failed) console.error(`\n--- ${name}\n${output.trimEnd()}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} catch (error) {
  console.error(`npm run check: ${error.message}`);
  process.exitCode = 1;
}

/** Runs one gate under the pinned runtime; both streams are kept in the order they came. */
function passThrough({ args }) {
  const started = performance.now();
  const path = [join(root, "node_modules", ".bin"), process.env.PATH ?? ""].join(delimiter);
  return new Promise((resolve, reject) => {
    const child = spawn(pinnedNode(), args, {
      cwd: root,
      env: { ...process.env, PATH: path, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      const seconds = (performance.now() - started) / 1000;
      resolve({ status: code ?? 1, output: Buffer.concat(chunks).toString(), seconds });
    });
  });
}
