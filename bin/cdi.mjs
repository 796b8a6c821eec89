#!/usr/bin/env node
// Starts the command line under the pinned Node 24, whatever Node (>= 20) this was called with.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const wantedMajor = 24;
const home = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const program = join(home, "dist", "cdi.js");

/** The npm package with the runtime lies beside ours, or higher up where npm hoisted it. */
function findRuntime() {
  for (let folder = home; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", `node-linux-${process.arch}`, "bin", "node");
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

function complain(text) {
  console.error(`cdi: ${text}`);
  process.exitCode = 1;
}

/** Runs the program in a child and ends as the child ended. */
function runUnder(runtime) {
  const child = spawn(runtime, [program, ...process.argv.slice(2)], { stdio: "inherit" });
  // On a terminal Ctrl-C reaches the child without us; passing it on would make it two.
  const passed = process.stdin.isTTY ? ["SIGTERM", "SIGHUP"] : ["SIGTERM", "SIGHUP", "SIGINT"];
  const handlers = ["SIGTERM", "SIGHUP", "SIGINT"].map((name) => {
    const handler = () => passed.includes(name) && child.kill(name);
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  child.on("error", (cause) => complain(`cannot start ${runtime}: ${cause.message}`));
  child.on("exit", (status, signal) => {
    for (const remove of handlers) remove();
    if (signal) process.kill(process.pid, signal);
    else process.exitCode = status ?? 1;
  });
}

if (!existsSync(program)) {
  complain(`${program} is missing: the programs are not built. Run: npm run build`);
} else if (Number(process.versions.node.split(".")[0]) >= wantedMajor) {
  await import(pathToFileURL(program).href);
} else {
  const runtime = findRuntime();
  if (runtime) runUnder(runtime);
  else
    complain(
      `needs Node ${wantedMajor}, this is ${process.version}, and the package node-linux-${process.arch} is not installed. Run: npm ci`,
    );
}
