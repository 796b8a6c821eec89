// The Debian part of the image's root file system: debootstrap with the packages the programs call, from the mirror this
// system itself uses.
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findTool, toolPath } from "./lib/run.mjs";
import { ensureTools } from "./lib/system-tools.mjs";

/** What the data programs call, and a library that they load where it is there; debootstrap adds what these need. */
export const packages = [
  "bash",
  "ca-certificates",
  "coreutils",
  "libdeflate0",
  "qemu-utils",
  "tar",
  "util-linux",
  "xz-utils",
  "zstd",
];

/** The image's users: 1001 when nothing else is said, 107 in every data pod (interfaces/importer.md 2.4). */
const users = [
  { name: "cdi", id: 1001 },
  { name: "qemu", id: 107 },
];

export class ImageError extends Error {}

function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (error) throw new ImageError(`${command} cannot be started: ${error.message}`);
  if (status !== 0) throw new ImageError(`${command} ${args.join(" ")} ended with ${signal ?? status}`);
}
const output = (command, args) => spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";

/** @returns suite and mirror of this system's own main archive */
export function findMirror(root = "/") {
  const release = readFileSync(join(root, "etc/os-release"), "utf8");
  const suite = /^VERSION_CODENAME=(.+)$/m.exec(release)?.[1]?.replaceAll('"', "");
  if (!suite) throw new ImageError("/etc/os-release names no VERSION_CODENAME: a Debian or Ubuntu system is needed");
  for (const { uris, suites, components, signedBy } of readSources(join(root, "etc/apt"))) {
    if (suites.includes(suite) && components.includes("main") && uris[0]) {
      return { suite, mirror: uris[0], components, ...(signedBy ? { signedBy } : {}) };
    }
  }
  throw new ImageError(`no entry for suite ${suite}, component main, in /etc/apt/sources.list or sources.list.d`);
}

/** Both spellings of apt's sources: one line each, and stanzas. */
function readSources(folder) {
  const parts = join(folder, "sources.list.d");
  const files = [join(folder, "sources.list")];
  if (existsSync(parts)) files.push(...readdirSync(parts).map((name) => join(parts, name)));
  return files
    .filter((path) => existsSync(path))
    .flatMap((path) => {
      const text = readFileSync(path, "utf8").replaceAll(/^\s*#.*$\n?/gm, "");
      if (path.endsWith(".sources")) return text.split(/\n\s*\n/).map(readStanza);
      return text
        .split("\n")
        .map(readLine)
        .filter((line) => line !== undefined);
    });
}

function readStanza(stanza) {
  const field = (name) => new RegExp(`^${name}:\\s*(.+)$`, "im").exec(stanza)?.[1]?.trim() ?? "";
  const words = (name) => field(name).split(/\s+/).filter(Boolean);
  const isBinary = words("Types").includes("deb") && field("Enabled") !== "no";
  const signedBy = field("Signed-By").startsWith("/") ? field("Signed-By") : undefined;
  return { uris: isBinary ? words("URIs") : [], suites: words("Suites"), components: words("Components"), signedBy };
}

function readLine(line) {
  const [, options = "", uri, suite, components] =
    /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim()) ?? [];
  if (!uri) return undefined;
  const signedBy = /signed-by=(\/\S+)/.exec(options)?.[1];
  return { uris: [uri], suites: [suite], components: components.split(/\s+/), signedBy };
}

/** A broken-off run may have left debootstrap's /proc behind, and deleting through a mount is not ours to do. */
function removeTree(folder) {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse()) run("umount", [mount]);
  rmSync(folder, { recursive: true, force: true });
}

/** Lays out Debian in `rootfs`, which must not exist yet. @throws ImageError with what to do */
export async function makeBase(rootfs, found) {
  if (process.getuid?.() !== 0) throw new ImageError("laying out a root file system needs root: run it with sudo");
  await ensureTools([{ tool: "debootstrap", package: "debootstrap" }]);
  const beside = `${rootfs}.new`;
  removeTree(beside);
  mkdirSync(beside, { recursive: true, mode: 0o755 });
  const proxy = output("sh", ["-c", 'eval "$(apt-config shell p Acquire::http::Proxy)"; printf %s "$p"']);
  const env = {
    ...process.env,
    PATH: toolPath.join(":"),
    DEBIAN_FRONTEND: "noninteractive",
    ...(proxy && !process.env.http_proxy ? { http_proxy: proxy } : {}),
  };
  const keyring = found.signedBy ? [`--keyring=${found.signedBy}`] : [];
  run(
    findTool("debootstrap"),
    [
      "--variant=minbase",
      `--include=${packages.join(",")}`,
      `--components=${found.components.join(",")}`,
      ...keyring,
      found.suite,
      beside,
      found.mirror,
    ],
    { env },
  );
  removeCaches(beside);
  for (const { name, id } of users) addUser(beside, name, id);
  renameSync(beside, rootfs);
}

function removeCaches(rootfs) {
  const emptied = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "var/cache/debconf",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "dev",
    "tmp",
  ];
  for (const folder of emptied.map((path) => join(rootfs, path))) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  // The licences stay; the rest of the documentation goes.
  const docs = join(rootfs, "usr/share/doc");
  for (const name of readdirSync(docs)) {
    const folder = join(docs, name);
    for (const file of readdirSync(folder)) {
      if (file !== "copyright") rmSync(join(folder, file), { recursive: true, force: true });
    }
  }
}

function addUser(rootfs, name, id) {
  const passwd = readFileSync(join(rootfs, "etc/passwd"), "utf8");
  if (passwd.split("\n").some((line) => line.split(":")[2] === String(id))) return;
  appendFileSync(join(rootfs, "etc/passwd"), `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin\n`);
  appendFileSync(join(rootfs, "etc/group"), `${name}:x:${id}:\n`);
}
