// Bench: each road beside native tools, in turns (ours, native, native, ours...), without limits and under those of the
// default importer pod. "Ours" is `cdi import URL FILE`, started anew each time, which syncs the disk; the tools do not.
// --rows=raw,gz --limits=none,pod --runs=5 --with=sum,also (also a sha256 of the source, the other native ways)
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { findTool } from "../src/datapath/index.ts";
import { checkout } from "../test/support/cdi-up.ts";
import { ownCertificate } from "../test/support/http-server.ts";
import { freePort, startNginx } from "../test/support/nginx.ts";
import { ensureImages, sizesOf } from "./lib/disk-images.ts";
import { inTurn, mediansOf, mib, ratioOf, report, round } from "./lib/figures.ts";
import { measure, noGroups, type Cost, type Limits } from "./lib/measured-run.ts";
import { roadRows, type RoadRow } from "./lib/roads.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: roadRows.map(({ name }) => name).join() },
    limits: { type: "string", default: "none,pod" },
    runs: { type: "string", default: "5" },
    with: { type: "string", default: "sum,also" },
  },
});
const wanted = new Set(values.rows.split(","));
const beside = new Set(values.with.split(","));
const runs = Number(values.runs);

const refusal = noGroups();
if (refusal) throw new Error(refusal);
const cache = join(checkout, ".cache", "bench");
const images = await ensureImages(cache);
const work = join(cache, "work");
const out = join(work, "disk.img");
const spare = join(work, "spare");
const releases: (() => Promise<void>)[] = [];
const tls = {
  port: await freePort(),
  ca: join(cache, "ca.pem"),
  crt: join(cache, "tls.crt"),
  key: join(cache, "tls.key"),
};
const { ca, pair } = await ownCertificate();
for (const [path, text] of [
  [tls.ca, ca],
  [tls.crt, pair.certificate],
  [tls.key, pair.key],
] as const)
  writeFileSync(path, text);
const server = await startNginx(
  images,
  (release) => void releases.push(release),
  undefined,
  `listen 127.0.0.1:${tls.port} ssl; ssl_certificate ${tls.crt}; ssl_certificate_key ${tls.key};`,
);
const urlOf = ({ form, isTls }: RoadRow): string => `${isTls ? `https://127.0.0.1:${tls.port}` : server}/${form}`;

/** One way of doing a row's work. */
interface Way {
  readonly name: string;
  readonly words: readonly string[];
  readonly costs: Cost[];
  allocatedBytes: number;
}

const way = (name: string, words: readonly string[]): Way => ({ name, words, costs: [], allocatedBytes: 0 });
const shell = (command: string): string[] => ["bash", "-c", `set -eo pipefail; ${command}`];

async function waysOf(row: RoadRow, limits: Limits): Promise<Way[]> {
  const { form, isTls, native, also = {} } = row;
  const cdi = [process.execPath, join(checkout, "dist", "cdi.js"), "import", urlOf(row), out, "--output", "json"];
  if (isTls) cdi.push("--ca", tls.ca);
  // The staged road of an image that cannot be converted on the way: its file is not counted as ours to keep.
  const ours = form.endsWith("qcow2") ? [...cdi, "--scratch", work] : cdi;
  const ways = [way("ours", ours), way("native", shell(native))];
  if (beside.has("sum")) ways.push(way("ours with sha256", [...ours, "--checksum", `sha256:${await sumOf(form)}`]));
  if (!beside.has("also") || limits) return ways;
  const usable = Object.entries(also).filter(([name]) => name !== "igzip" || findTool("igzip"));
  return [...ways, ...usable.map(([name, command]) => way(name, shell(command)))];
}

async function runOnce(way: Way, row: RoadRow, limits: Limits): Promise<void> {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  execFileSync("sync");
  const isFirst = way.costs.length === 0;
  const env = { url: urlOf(row), out, spare, TMPDIR: "/nonexistent", CURL_CA_BUNDLE: tls.ca };
  way.costs.push(await measure(way.words, limits, env));
  way.allocatedBytes = statSync(out).blocks * 512;
  if (isFirst) execFileSync("cmp", [out, join(images, "disk.raw")]);
}

async function runRow(row: RoadRow, limits: Limits): Promise<object[]> {
  const ways = await waysOf(row, limits);
  for (let turn = 0; turn < runs; turn += 1) for (const one of inTurn(turn, ways)) await runOnce(one, row, limits);
  const native = ways.find(({ name }) => name === "native")?.costs ?? [];
  const ours = ways[0]?.costs ?? [];
  return ways.map(({ name, costs, allocatedBytes }) => {
    // The ratio of a way is against the native one; of ours with a digest against ours without.
    const against = name === "ours with sha256" ? ours : native;
    const ratio = (what: (cost: Cost) => number): number => round(ratioOf(costs.map(what), against.map(what)));
    return {
      road: row.name,
      limits: limits ?? "none",
      way: name,
      ...mediansOf(costs),
      allocatedMiB: mib(allocatedBytes),
      scratchMiB: scratchMiB(name, row, costs),
      wallRatio: ratio(({ wallSeconds }) => wallSeconds),
      cpuRatio: ratio(({ cpuSeconds }) => cpuSeconds),
      ...(limits === "pod" && name === "ours" ? { upstreamCpuSeconds: row.upstreamCpuSeconds ?? "not known" } : {}),
      ...(name.startsWith("ours") ? boundsOf(costs, allocatedBytes) : {}),
      runs: costs.map((cost) => ({ ...cost, output: undefined })),
    };
  });
}

/** Of everything that ran for it: no scratch copy, no zeros written out, no pile of buffers. */
function boundsOf(costs: readonly Cost[], allocatedBytes: number): { writesOk: boolean; anonOk: boolean } {
  const mostWritten = allocatedBytes * 1.02 + 16 * 1024 ** 2;
  return {
    writesOk: costs.every(({ writtenBytes }) => writtenBytes <= mostWritten),
    anonOk: costs.every(({ rssAnonBytes }) => rssAnonBytes <= 160 * 1024 ** 2),
  };
}

function scratchMiB(name: string, { form, native }: RoadRow, costs: readonly Cost[]): number {
  if (!name.startsWith("ours")) return native.includes("$spare") ? mib(sizesOf(images, form).fileBytes) : 0;
  return mib((JSON.parse(costs[0]?.output ?? "{}") as { scratchPeak?: number }).scratchPeak ?? 0);
}

const sums = new Map<string, string>();
async function sumOf(form: string): Promise<string> {
  const known = sums.get(form);
  if (known) return known;
  const hash = createHash("sha256");
  await pipeline(createReadStream(join(images, form), { highWaterMark: 1024 ** 2 }), hash);
  const sum = hash.digest("hex");
  sums.set(form, sum);
  return sum;
}

try {
  const rows: object[] = [];
  for (const row of roadRows.filter(({ name }) => wanted.has(name))) {
    for (const limits of values.limits.split(",")) {
      rows.push(...(await runRow(row, limits === "pod" ? "pod" : undefined)));
      console.error(`bench: ${row.name}, limits ${limits}: done`);
    }
  }
  const machine = { cpus: cpus().length, memoryMiB: mib(totalmem()), disk: sizesOf(images, "disk.raw") };
  report(cache, "roads", { ...machine, runs }, rows);
} finally {
  for (const release of releases) await release();
  rmSync(work, { recursive: true, force: true });
}
