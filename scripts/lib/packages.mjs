// Sets up npm packages once per lock file. Runs under any Node from 20 on, before anything is installed.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./run.mjs";

const stampFile = join(root, "node_modules", ".cdi-packages");

/** Runs `npm ci` unless node_modules was made from this very lock file. */
export async function ensurePackages() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const stamp = createHash("sha256").update(lock).digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  console.log("setup: installing npm packages (npm ci)");
  await run("npm", ["ci", "--loglevel=error", "--engine-strict=false"], { cwd: root });
  writeFileSync(stampFile, stamp);
}

/** The pinned runtime that came with the packages (ADR 0002). */
export function pinnedNode() {
  const path = join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
  if (!existsSync(path)) {
    throw new Error(`the pinned runtime is missing: ${path}. Only Linux on x64 and arm64 is served; try: npm ci`);
  }
  return path;
}
