// `npm test` (`-- --long` for the full counts): all set-up, the gates of `npm run check`, then every test.
// The last line is always `N passed, N failed`; the exit status is 0 only when nothing failed and something ran.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root, run } from "./lib/run.mjs";
import { pinnedNode } from "./lib/packages.mjs";
import { ensureTools, testTools } from "./lib/system-tools.mjs";
import { debianKubectl, ensureKubectl } from "./lib/kubectl.mjs";
import { setUp } from "./setup.mjs";

/** Files of a later group start after those of the one before: e2e tests own the machine, one at a time. */
const groups = [
  { name: "unit", folders: ["test/unit", "test/architecture"], workers: 2 },
  { name: "integration", folders: ["test/conformance", "test/integration"], workers: 2 },
  { name: "e2e", folders: ["test/e2e"], workers: 1 },
];

async function runGroup({ name, folders, workers }, env) {
  const report = join(root, ".cache", `test-${name}.json`);
  rmSync(report, { force: true });
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...folders, "--passWithNoTests"];
  args.push(`--maxWorkers=${workers}`, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`);
  const status = await run(pinnedNode(), args, { cwd: root, env, mayFail: true });
  const counts = JSON.parse(readFileSync(report, "utf8"));
  const { numPassedTests: passed, numFailedTests, numPendingTests: skipped } = counts;
  // A file that cannot even be loaded has no failed test of its own, yet must not pass.
  const brokenFiles = counts.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.every((one) => one.status !== "failed"),
  );
  const failed = Math.max(numFailedTests + brokenFiles.length, status === 0 ? 0 : 1);
  return { passed, failed, skipped };
}

async function runEverything() {
  const long = process.argv.includes("--long");
  await setUp();
  await ensureTools([], testTools);
  mkdirSync(join(root, ".cache"), { recursive: true });
  const kubectl = await ensureKubectl();
  await debianKubectl();
  const path = [join(root, "node_modules", ".bin"), process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);
  const env = { ...process.env, PATH: path, CDI_KUBECTL: kubectl ?? "", CDI_TEST_LONG: long ? "1" : "" };
  const total = { passed: 0, failed: 0, skipped: 0 };
  const gate = await run(pinnedNode(), [join(root, "scripts/check.mjs"), "--gates-only"], {
    cwd: root,
    env,
    mayFail: true,
  });
  total[gate === 0 ? "passed" : "failed"] += 1;
  for (const group of groups) {
    const counts = await runGroup(group, env);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  return total;
}

const total = await runEverything().catch((error) => {
  console.error(`npm test: ${error.message}`);
  return { passed: 0, failed: 1, skipped: 0 };
});
if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
