// `npm run image -- --rootfs DIR`: the image's plain root file system, Debian packages below and our programs on top. Run
// again it renews the programs and leaves the Debian part alone unless its package list, suite or architecture changed.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findMirror, ImageError, makeBase, packages } from "./image-base.mjs";
import { root } from "./lib/run.mjs";

const home = "usr/lib/cdi";

/** Names of compat.md on the left, the built program on the right. */
const programs = [
  { name: "cdi-importer", file: "importer.js" },
  { name: "cdi-uploadserver", file: "uploadserver.js" },
  { name: "cdi-containerimage-server", file: "containerimage-server.mjs" },
  { name: "cdi-controller", file: "controller.js" },
  { name: "cdi-apiserver", file: "apiserver.js" },
  { name: "cdi-uploadproxy", file: "uploadproxy.js" },
  { name: "cdi", file: "cdi.js" },
];

async function main() {
  const { values } = parseArgs({ options: { rootfs: { type: "string" } } });
  if (!values.rootfs) throw new ImageError("usage: npm run image -- --rootfs DIR");
  const rootfs = resolve(values.rootfs);
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });
  await layBase(rootfs);
  layPrograms(rootfs);
  console.log(`image root: ${rootfs}`);
}

async function layBase(rootfs) {
  const found = findMirror();
  const key = JSON.stringify({ packages, suite: found.suite, arch: process.arch, form: 1 });
  const stamp = join(rootfs, home, ".base");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  if (existsSync(rootfs) && !existsSync(stamp) && readdirSync(rootfs).length > 0) {
    throw new ImageError(`${rootfs} is not empty and was not laid out by this program: name another folder`);
  }
  console.error(`laying out Debian ${found.suite} from ${found.mirror}`);
  rmSync(rootfs, { recursive: true, force: true });
  await makeBase(rootfs, found);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key);
}

function layPrograms(rootfs) {
  const target = join(rootfs, home);
  for (const name of ["dist", "node_modules", "bin"]) rmSync(join(target, name), { recursive: true, force: true });
  cpSync(join(root, "dist"), join(target, "dist"), {
    recursive: true,
    filter: (path) => !/\.map$|\.build\.json$/.test(path),
  });
  cpSync(join(root, "package.json"), join(target, "package.json"));
  for (const path of productionPackages()) copyPackage(path, target);
  mkdirSync(join(target, "bin"));
  const runtime = `node_modules/node-linux-${process.arch}/bin/node`;
  if (!existsSync(join(target, runtime))) throw new ImageError(`${runtime} is not installed: run npm ci`);
  symlinkSync(`../${runtime}`, join(target, "bin/node"));
  makeReadable(target);
  for (const { name, file } of programs) {
    const launcher = join(rootfs, "usr/bin", name);
    rmSync(launcher, { force: true });
    if (!existsSync(join(target, "dist", file))) continue;
    writeFileSync(launcher, `#!/bin/sh\nexec /${home}/bin/node /${home}/dist/${file} "$@"\n`);
    chmodSync(launcher, 0o755);
  }
}

/** The packages a running program may load, by the lock file, as far as they are installed here. */
function productionPackages() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const wanted = Object.entries(lock.packages).filter(
    ([path, entry]) => path !== "" && !entry.dev && !path.includes("/@types/"),
  );
  const missing = wanted.filter(
    ([path, entry]) => !entry.optional && !entry.devOptional && !existsSync(join(root, path)),
  );
  if (missing.length > 0) throw new ImageError(`not installed: ${missing[0]?.[0]}; run npm ci`);
  return wanted.map(([path]) => path).filter((path) => existsSync(join(root, path)));
}

/** Without what no program reads: headers, manuals, declarations, source maps, other platforms' binaries. */
function copyPackage(path, target) {
  const from = join(root, path);
  const isRuntime = basename(path).startsWith("node-linux-");
  cpSync(from, join(target, path), {
    recursive: true,
    filter: (file) => {
      const inside = file.slice(from.length + 1);
      if (inside === "") return true;
      if (inside.split("/").includes("node_modules")) return false;
      if (isRuntime) return ["bin", "bin/node", "LICENSE", "package.json"].includes(inside);
      const platform = /^prebuilds\/([^/]+)/.exec(inside)?.[1];
      if (platform) return platform.startsWith("linux") && platform.includes(process.arch);
      return !/\.(d\.[cm]?ts|map)$/.test(inside);
    },
  });
}

/** The image runs as any user. */
function makeReadable(path) {
  const status = lstatSync(path);
  if (status.isSymbolicLink()) return;
  chmodSync(path, status.isDirectory() || (status.mode & 0o111) !== 0 ? 0o755 : 0o644);
  if (status.isDirectory()) for (const name of readdirSync(path)) makeReadable(join(path, name));
}

try {
  await main();
} catch (cause) {
  console.error(`image: ${cause.message}`);
  process.exitCode = 1;
}
