// Bench: a containerDisk out of a real registry - a compressed qcow2 in a gzip layer - beside skopeo, tar and qemu-img, in turns,
// without limits and under those of the default importer pod. "Ours" is `cdi import docker://... FILE`, started anew each time,
// with no scratch space and no folder for temporary files; it checks the layer's digest and syncs the disk.
// --limits=none,pod --runs=5
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkout } from "../test/support/cdi-up.ts";
import { buildImage } from "../test/support/container-disk.ts";
import { noRegistry, startRegistry } from "../test/support/registry.ts";
import { ensureImages, sizesOf } from "./lib/disk-images.ts";
import { inTurn, mediansOf, mib, ratioOf, report, round } from "./lib/figures.ts";
import { measure, noGroups, type Cost, type Limits } from "./lib/measured-run.ts";

const { values } = parseArgs({
  options: { limits: { type: "string", default: "none,pod" }, runs: { type: "string", default: "5" } },
});
const runs = Number(values.runs);
const refusal = noGroups() ?? noRegistry;
if (refusal) throw new Error(refusal);

const cache = join(checkout, ".cache", "bench");
const images = await ensureImages(cache);
const work = join(cache, "work");
const out = join(work, "disk.img");
const copied = join(work, "copied");
const releases: (() => Promise<void>)[] = [];

interface Way {
  readonly name: string;
  readonly words: readonly string[];
  readonly costs: Cost[];
  allocatedBytes: number;
}

/** What upstream's road does with tools: the image into a folder, its one layer unpacked, the disk converted. */
const native = `set -eo pipefail
skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$image" "dir:$copied"
tar -xzf "$copied/$layer" -C "$copied"
qemu-img convert -m 16 -W -f qcow2 -O raw "$copied/disk/disk.qcow2" "$out"
rm -r "$copied"`;

const waysOf = (image: string): readonly [ours: Way, native: Way] => {
  const way = (name: string, words: readonly string[]): Way => ({ name, words, costs: [], allocatedBytes: 0 });
  const cdi = [process.execPath, join(checkout, "dist", "cdi.js")];
  return [
    way("ours", [...cdi, "import", `docker://${image}`, out, "--insecure", "--output", "json"]),
    way("native", ["bash", "-c", native]),
  ];
};

/** Made with the tools that people make them with. @returns its name in the registry, and the file name of its layer */
async function pushImage(): Promise<{ image: string; layer: string; layerBytes: number }> {
  const registry = await startRegistry({}, (release) => void releases.unshift(release));
  const file = join(work, "layer.tar.gz");
  const packed = `tar -cf - --transform 's,^.*$,disk/disk.qcow2,' disk-compressed.qcow2 | gzip -6 > ${file}`;
  execFileSync("bash", ["-ec", packed], { cwd: images });
  const blob = readFileSync(file);
  const built = buildImage({ layers: [{ blob, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" }] });
  await registry.push("bench/disk", "1", built);
  const [layer] = built.layers;
  if (!layer) throw new Error("the image has no layer");
  return { image: `${registry.host}/bench/disk:1`, layer: layer.digest.replace("sha256:", ""), layerBytes: layer.size };
}

async function runOnce(way: Way, limits: Limits, env: Record<string, string>): Promise<void> {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(copied, { recursive: true });
  execFileSync("sync");
  const isFirst = way.costs.length === 0;
  const temporary = way.name === "ours" ? "/nonexistent" : work;
  way.costs.push(await measure(way.words, limits, { ...env, out, copied, TMPDIR: temporary }));
  way.allocatedBytes = statSync(out).blocks * 512;
  if (isFirst) execFileSync("cmp", [out, join(images, "disk.raw")]);
}

async function runBoth(limits: Limits, image: string, layer: string, layerBytes: number): Promise<object[]> {
  const [ours, theirs] = waysOf(image);
  for (let turn = 0; turn < runs; turn += 1) {
    for (const way of inTurn(turn, [ours, theirs])) await runOnce(way, limits, { image, layer });
  }
  const diskBytes = sizesOf(images, "disk-compressed.qcow2").fileBytes;
  return [ours, theirs].map(({ name, costs, allocatedBytes }) => ({
    limits: limits ?? "none",
    way: name,
    ...mediansOf(costs),
    allocatedMiB: mib(allocatedBytes),
    scratchMiB: mib(name === "ours" ? scratchOf(costs) : layerBytes + diskBytes),
    wallRatio: ratio(costs, theirs.costs, ({ wallSeconds }) => wallSeconds),
    cpuRatio: ratio(costs, theirs.costs, ({ cpuSeconds }) => cpuSeconds),
    runs: costs.map((cost) => ({ ...cost, output: undefined })),
  }));
}

const ratio = (costs: readonly Cost[], against: readonly Cost[], what: (cost: Cost) => number): number =>
  round(ratioOf(costs.map(what), against.map(what)));

const scratchOf = (costs: readonly Cost[]): number =>
  Math.max(...costs.map(({ output }) => (JSON.parse(output) as { scratchPeak?: number }).scratchPeak ?? Number.NaN));

try {
  mkdirSync(work, { recursive: true });
  const { image, layer, layerBytes } = await pushImage();
  const rows: object[] = [];
  for (const limits of values.limits.split(",")) {
    rows.push(...(await runBoth(limits === "pod" ? "pod" : undefined, image, layer, layerBytes)));
    console.error(`bench: limits ${limits}: done`);
  }
  const machine = { cpus: cpus().length, memoryMiB: mib(totalmem()), disk: sizesOf(images, "disk.raw"), layerBytes };
  report(cache, "registry", { ...machine, runs }, rows);
} finally {
  for (const release of releases) await release();
  rmSync(work, { recursive: true, force: true });
}
