// Bundles the programs into dist/: packages but undici left outside, source maps beside. Does nothing when no input changed
// since the last build. Runs under Node 20 and later; `--force` builds anyway.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const recordPath = join(dist, ".build.json");

/** Every program: the name in dist/ and where it starts. */
const programs = [
  { name: "cdi", entry: "src/cli/main.ts" },
  { name: "importer", entry: "importer/main.ts" },
  { name: "imagepull", entry: "importer/pull/main.ts" },
  { name: "controller", entry: "src/programs/controller.ts" },
  { name: "apiserver", entry: "src/programs/apiserver.ts" },
  { name: "uploadproxy", entry: "src/programs/uploadproxy.ts" },
  { name: "uploadserver", entry: "uploadserver/main.ts" },
  // A thread of those that unpack qcow2.
  { name: "inflate-worker", entry: "src/lib/inflate-worker.ts" },
  // Started where there is nothing beside it: one file, which says by its name what it is.
  { name: "containerimage-server", entry: "imageserver/main.ts", alone: true },
];

const present = programs.filter(({ entry }) => existsSync(join(root, entry)));
const settings = createHash("sha256")
  .update(JSON.stringify(present))
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .update(readFileSync(join(root, "package.json")))
  .digest("hex");

/**
 * undici goes into the bundle, and of it the one class `src/lib/http.ts` takes: loading the package whole costs every pod
 * 60 ms more (docs/adr/0008-undici-inside-the-bundle.md). Taking another name from it fails the build: add it here.
 */
const undiciInside = {
  name: "undici-inside",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, () => ({ path: "undici", namespace: "undici-inside" }));
    onLoad({ filter: /.*/, namespace: "undici-inside" }, () => ({
      contents: 'export { default as Agent } from "undici/lib/dispatcher/agent.js";',
      resolveDir: root,
    }));
  },
};
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const digestOf = (path) =>
  createHash("sha256")
    .update(readFileSync(join(root, path)))
    .digest("hex");

/** True when every file of the last build is as it was. A new file can only come in through a changed one. */
function isFresh() {
  if (!existsSync(recordPath)) return false;
  const record = JSON.parse(readFileSync(recordPath, "utf8"));
  if (record.settings !== settings) return false;
  if (!record.outputs.every((path) => existsSync(join(root, path)))) return false;
  return Object.entries(record.inputs).every(
    ([path, digest]) => existsSync(join(root, path)) && digestOf(path) === digest,
  );
}

/** All files below a folder, as paths from the project's root. */
function filesBelow(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [relative(root, path)];
  });
}

/** Written beside and renamed, so that a program started in this moment sees the old file or the new one. */
function place(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, bytes);
  renameSync(beside, path);
}

/** Packages are watched by package.json alone: their versions are pinned there. */
const isOurs = (path) => !path.startsWith("node_modules/") && !path.includes("undici-inside:");

/** Another build may run beside this one. */
function isBeingWritten(path) {
  const status = statSync(join(root, path), { throwIfNoEntry: false });
  return path.endsWith(".new") && status !== undefined && Date.now() - status.mtimeMs < 60_000;
}

async function build() {
  const { build: bundle } = await import("esbuild");
  const shared = {
    absWorkingDir: root,
    outdir: "dist",
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    metafile: true,
    write: false,
    logLevel: "error",
  };
  const entriesOf = (rows) => rows.map(({ name, entry }) => ({ in: entry, out: name }));
  const together = await bundle({
    ...shared,
    entryPoints: entriesOf(present.filter(({ alone }) => !alone)),
    // Chunks let a verb of the command line load its own part only.
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    external: Object.keys(dependencies).filter((name) => name !== "undici"),
    plugins: [undiciInside],
    // undici is CommonJS and asks for node's own modules by require.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    sourcemap: true,
    sourcesContent: false,
  });
  // A package in one of these fails the build: they have none where they run.
  const alone = await bundle({
    ...shared,
    entryPoints: entriesOf(present.filter((row) => row.alone)),
    outExtension: { ".js": ".mjs" },
  });
  const files = [...together.outputFiles, ...alone.outputFiles];
  for (const file of files) place(file.path, file.contents);
  const outputs = files.map((file) => relative(root, file.path));
  const kept = [...outputs, relative(root, recordPath)];
  for (const path of filesBelow(dist)) {
    if (!kept.includes(path) && !isBeingWritten(path)) rmSync(join(root, path), { force: true });
  }
  const inputs = Object.fromEntries(
    Object.keys({ ...together.metafile.inputs, ...alone.metafile.inputs })
      .filter(isOurs)
      .map((path) => [path, digestOf(path)]),
  );
  place(recordPath, JSON.stringify({ settings, outputs, inputs }));
}

// Every entry that is there is built; one that is not yet written is left out.
if (process.argv.includes("--force") || !isFresh()) {
  try {
    await build();
    console.error(`built dist/: ${present.map(({ name }) => name).join(", ")}`);
  } catch (cause) {
    if (cause?.code === "ERR_MODULE_NOT_FOUND") console.error("build: esbuild is not installed; run: npm ci");
    else console.error(`build: ${cause instanceof Error ? cause.message : String(cause)}`);
    process.exitCode = 1;
  }
}
