// Which kubectl the tests drive: the one on PATH; where none is, Debian's, unpacked beside (never installed: it collides
// with a kubectl installed later).
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findTool, root, run } from "./run.mjs";

/** @returns the path, or undefined where there is none and none can be had */
export async function ensureKubectl() {
  return findTool("kubectl") ?? (await debianKubectl());
}

/** Debian's kubectl (1.20 in Debian 12), from its package's files. */
export async function debianKubectl() {
  const dir = join(root, ".cache", "kubernetes-client");
  const binary = join(dir, "usr/bin/kubectl");
  if (existsSync(binary)) return binary;
  if (!findTool("apt-get")) return undefined;
  console.log("setup: unpacking Debian's kubectl beside the checkout's cache");
  mkdirSync(dir, { recursive: true });
  const quiet = { cwd: dir, stdio: ["ignore", "ignore", "inherit"], mayFail: true };
  if ((await run("apt-get", ["download", "kubernetes-client"], quiet)) !== 0) return undefined;
  const deb = readdirSync(dir).find((name) => name.endsWith(".deb"));
  if (!deb) return undefined;
  await run("dpkg", ["-x", deb, "."], quiet);
  rmSync(join(dir, deb));
  return existsSync(binary) ? binary : undefined;
}
