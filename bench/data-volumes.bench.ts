// Bench: one DataVolume a road on an embedded cluster, alone: from its creation to Succeeded, and how much of that was the
// importer's own. What is left is the control plane's: claim, volume, pod, and from its exit to the status.
// --rows=raw,gz --runs=3 --images=DIR (a folder with the forms of the disk; built when absent)
import { mkdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { DataVolume } from "../src/api/data-volume.ts";
import { kinds } from "../src/api/kinds.ts";
import { startEmbedded } from "../src/embedded/index.ts";
import { systemClock } from "../src/lib/clock.ts";
import { silentLog, type Log } from "../src/lib/log.ts";
import { checkout, removeDir, temporaryDir } from "../test/support/cdi-up.ts";
import { dataVolumeOf, history, phaseIs } from "../test/support/cluster.ts";
import { startNginx } from "../test/support/nginx.ts";
import { ensureImages } from "./lib/disk-images.ts";
import { median, mib, report, round } from "./lib/figures.ts";
import { roadRows } from "./lib/roads.ts";

// What is added to the importer does not depend on TLS.
const plainRows = roadRows.filter(({ isTls }) => !isTls);
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: plainRows.map(({ name }) => name).join() },
    runs: { type: "string", default: "3" },
    images: { type: "string" },
  },
});
/** What the control plane may add to the importer's own time, seconds. */
const allowedSeconds = 1.5;

const cache = join(checkout, ".cache", "bench");
mkdirSync(cache, { recursive: true });
const images = values.images ?? (await ensureImages(cache));

/** Container runs as the node's log tells them, by pod: when the last began, and seconds of all that ended. */
const begun = new Map<string, number>();
const spent = new Map<string, number>();
const listening = (pod = ""): Log => ({
  ...silentLog,
  info(message) {
    const now = performance.now() / 1000;
    if (message === "Container started") begun.set(pod, now);
    if (message === "Container ended") spent.set(pod, (spent.get(pod) ?? 0) + now - (begun.get(pod) ?? now));
  },
  with: (facts) => listening(typeof facts["pod"] === "string" ? facts["pod"] : pod),
});

interface Run {
  importerSeconds: number;
  wholeSeconds: number;
}

const releases: (() => Promise<void>)[] = [];
try {
  const server = await startNginx(images, (release) => void releases.push(release));
  const dir = await temporaryDir();
  const cluster = await startEmbedded({ dir, appDir: checkout, maxRunning: 1, clock: systemClock, log: listening() });
  releases.push(async () => {
    await cluster.close();
    await removeDir(dir);
  });

  const runOnce = async (name: string, form: string): Promise<Run> => {
    const from = performance.now() / 1000;
    await cluster.client.create(dataVolumeOf({ name, url: `${server}/${form}`, size: "5Gi" }), kinds.dataVolume);
    const states = await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded", "Failed"), 900_000);
    const wholeSeconds = performance.now() / 1000 - from;
    const { status } = states.at(-1) ?? {};
    if (status?.phase !== "Succeeded") throw new Error(`${name} failed: ${JSON.stringify(status)}`);
    await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name });
    return { importerSeconds: spent.get(`default/importer-${name}`) ?? Number.NaN, wholeSeconds };
  };

  const wanted = new Set(values.rows.split(","));
  const rows: object[] = [];
  for (const { name, form } of plainRows.filter((row) => wanted.has(row.name))) {
    const runs: Run[] = [];
    for (let turn = 0; turn < Number(values.runs); turn += 1) runs.push(await runOnce(`${name}-${turn}`, form));
    const added = runs.map(({ importerSeconds, wholeSeconds }) => wholeSeconds - importerSeconds);
    rows.push({
      road: name,
      importerSeconds: round(median(runs.map(({ importerSeconds }) => importerSeconds))),
      createdToSucceededSeconds: round(median(runs.map(({ wholeSeconds }) => wholeSeconds))),
      addedSeconds: round(median(added)),
      mostAddedSeconds: round(Math.max(...added)),
      isWithin: median(added) <= allowedSeconds,
      runs,
    });
    console.error(`bench: ${name}: done`);
  }
  report(cache, "data-volumes", { cpus: cpus().length, memoryMiB: mib(totalmem()), allowedSeconds }, rows);
} finally {
  for (const release of releases.reverse()) await release();
}
