// Bench: a source 50 ms away, raw and qcow2 with ranges, beside one stream of curl through the same relay, in turns. "Ours" is
// `cdi import`, whole; curl only writes the file it is sent. --rows=raw,qcow2 --runs=5 --mib=512 (of the disk all benches move)
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkout } from "../test/support/cdi-up.ts";
import { startNginx } from "../test/support/nginx.ts";
import { ensureImages } from "./lib/disk-images.ts";
import { inTurn, mediansOf, ratioOf, report, round } from "./lib/figures.ts";
import { measure, noGroups, type Cost } from "./lib/measured-run.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "raw,qcow2" },
    runs: { type: "string", default: "5" },
    mib: { type: "string", default: "512" },
  },
});
const refusal = noGroups();
if (refusal) throw new Error(refusal);

const cache = join(checkout, ".cache", "bench");
const folder = join(cache, `latency-${values.mib}`);
const raw = join(folder, "disk.raw");
const work = join(cache, "latency-work");
const out = join(work, "disk.img");
if (!existsSync(join(folder, "disk.qcow2"))) {
  const images = await ensureImages(cache);
  mkdirSync(folder, { recursive: true });
  execFileSync("dd", [`if=${join(images, "disk.raw")}`, `of=${raw}`, "bs=1M", `count=${values.mib}`, "status=none"]);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, join(folder, "disk.qcow2")]);
}

const releases: (() => Promise<void>)[] = [];
const server = await startNginx(folder, (release) => void releases.push(release));
const relay = spawn(process.execPath, [join(import.meta.dirname, "lib", "relay-process.ts"), new URL(server).port], {
  stdio: ["pipe", "pipe", "inherit"],
});
releases.push(async () => {
  relay.stdin.end();
  await once(relay, "exit");
});
const [port] = (await once(relay.stdout, "data")) as [Buffer];
const through = `http://127.0.0.1:${String(port).trim()}`;

const cdi = [process.execPath, join(checkout, "dist", "cdi.js"), "import"];
const waysTo = (url: string): Record<string, string[]> => ({
  ours: [...cdi, url, out],
  curl: ["curl", "-sSf", "-o", join(work, "spare"), url],
});

try {
  const rows: object[] = [];
  for (const row of values.rows.split(",")) {
    const ways = Object.entries(waysTo(`${through}/disk.${row}`)).map(([way, words]) => ({
      way,
      words,
      costs: [] as Cost[],
    }));
    for (let turn = 0; turn < Number(values.runs); turn += 1) {
      for (const { way, words, costs } of inTurn(turn, ways)) {
        rmSync(work, { recursive: true, force: true });
        mkdirSync(work, { recursive: true });
        execFileSync("sync");
        costs.push(await measure(words, undefined, { TMPDIR: "/nonexistent" }));
        if (way === "ours" && turn === 0) execFileSync("cmp", [out, raw]);
      }
    }
    const theirs = ways[1]?.costs ?? [];
    const ratio = (costs: readonly Cost[], what: (cost: Cost) => number): number =>
      round(ratioOf(costs.map(what), theirs.map(what)));
    for (const { way, costs } of ways) {
      rows.push({
        road: row,
        way,
        ...mediansOf(costs),
        wallRatio: ratio(costs, ({ wallSeconds }) => wallSeconds),
        cpuRatio: ratio(costs, ({ cpuSeconds }) => cpuSeconds),
        runs: costs.map((cost) => ({ ...cost, output: undefined })),
      });
    }
    console.error(`bench: ${row}: done`);
  }
  report(cache, "latency", { cpus: cpus().length, runs: Number(values.runs), mib: Number(values.mib) }, rows);
} finally {
  for (const release of releases.reverse()) await release();
  rmSync(work, { recursive: true, force: true });
}
