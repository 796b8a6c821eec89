// `npm start [-- --exit | -- https://host/image.qcow2 | ...]`: all set-up, then `cdi up` with what was given.
import { join } from "node:path";
import { spawn } from "node:child_process";
import { root } from "./lib/run.mjs";
import { pinnedNode } from "./lib/packages.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp();
  startCdi();
} catch (error) {
  console.error(`npm start: ${error.message}`);
  process.exitCode = 1;
}

function startCdi() {
  const cdi = join(root, "dist", "cdi.js");
  const child = spawn(pinnedNode(), ["--enable-source-maps", cdi, "up", ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // Ctrl-C reaches the whole terminal group; the child ends first and decides the status.
  for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => child.kill(name));
  child.once("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" || signal === "SIGTERM" ? 0 : 1);
  });
}
