// What an import may take, whatever it imports: a slow target fills neither memory nor page cache, nothing is written but the
// disk, and no scratch space or temporary folder is wanted. CDI_TEST_LONG=1: 20 GiB with 2 GiB of data, three times each.
import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../support/cdi-up.ts";
import { noLimits, runLimited, type Counted } from "../../support/limited-run.ts";
import { makeFolder, makeLoop, noLoops } from "../../support/loop.ts";
import { noNginx, startNginx } from "../../support/nginx.ts";
import { seededBytes } from "../../support/images.ts";
import { numbersFrom } from "../../support/sparse-image.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const isLong = process.env["CDI_TEST_LONG"] === "1";
const slow = isLong
  ? { diskMiB: 20 * 1024, dataMiB: 2048, runs: 3, bytesPerSecond: 20e6 }
  : { diskMiB: 256, dataMiB: 64, runs: 1, bytesPerSecond: 20e6 };
const quick = { diskMiB: 384, dataMiB: 96 };
const refusal = noLoops ?? noNginx ?? noLimits();

const releases: (() => Promise<void>)[] = [];
let folder = "";
let server = "";
beforeAll(async () => {
  if (refusal) return;
  const atEnd = (release: () => Promise<void>): void => void releases.push(release);
  folder = await makeFolder("cdi-bounded-", atEnd);
  for (const [name, size] of Object.entries({ slow, quick })) await makeForms(name, size);
  server = await startNginx(folder, atEnd);
}, 1_800_000);
afterAll(async () => {
  for (const release of releases.reverse()) await release();
});

describe.skipIf(refusal)("a target of 20 MB/s under a memory limit of 256 MiB", () => {
  test.for(["raw", "qcow2", "raw.xz"].flatMap((form) => Array.from({ length: slow.runs }, () => form)))(
    "%s: no kill, little of it waiting for the disk, little memory",
    { timeout: 600_000 },
    async (form) => {
      const { device } = await makeLoop({ sizeBytes: slow.diskMiB * MIB, fill: "zeros" });
      const id = (await readFile(`/sys/block/${device.replace("/dev/", "")}/dev`, "utf8")).trim();
      const counted = await bring(`slow.${form}`, device, {
        memoryBytes: 256 * MIB,
        slowDevice: { id, bytesPerSecond: slow.bytesPerSecond },
      });
      expect(counted.oomKills).toBe(0);
      // Else the device was not slow, and nothing was shown.
      expect(counted.seconds).toBeGreaterThan((slow.dataMiB * MIB) / slow.bytesPerSecond / 2);
      expect(counted.dirtyBytes / MIB).toBeLessThanOrEqual(64);
      expect(counted.anonBytes / MIB).toBeLessThanOrEqual(192);
      await run("cmp", [device, join(folder, "slow.raw")]);
    },
  );
});

describe.skipIf(refusal)("without scratch space and with a temporary folder that is not there", () => {
  test.for(["raw", "raw.gz", "raw.xz", "raw.zst", "qcow2", "compressed.qcow2"])(
    "%s: only the disk is written, in little memory",
    { timeout: 120_000 },
    async (form) => {
      const target = join(await makeFolder(), "disk.img");
      const counted = await bring(`quick.${form}`, target, {});
      const dataBytes = statSync(join(folder, "quick.raw")).blocks * 512;
      expect(counted.writtenBytes).toBeGreaterThan(0);
      expect(counted.writtenBytes).toBeLessThanOrEqual(dataBytes * 1.02 + 16 * MIB);
      expect(counted.rssAnonBytes / MIB).toBeLessThanOrEqual(160);
      await run("cmp", [target, join(folder, "quick.raw")]);
    },
  );
});

type Limits = Omit<Parameters<typeof runLimited>[0], "words" | "env">;

async function bring(file: string, target: string, limits: Limits): Promise<Counted & { seconds: number }> {
  const begun = performance.now();
  const cdi = [process.execPath, join(checkout, "dist", "cdi.js"), "import", `${server}/${file}`, target];
  const counted = await runLimited({ words: cdi, env: { TMPDIR: "/nonexistent" }, ...limits });
  expect(counted, counted.stderr).toMatchObject({ status: 0 });
  const seconds = (performance.now() - begun) / 1000;
  const { dirtyBytes, anonBytes, rssAnonBytes, writtenBytes } = counted;
  console.log(
    `${file}: ${seconds.toFixed(1)} s, MiB: waiting for the disk ${mib(dirtyBytes)}, group's anonymous ${mib(anonBytes)},`,
    `processes' anonymous ${mib(rssAnonBytes)}, written ${mib(writtenBytes)}`,
  );
  return { ...counted, seconds };
}

const mib = (bytes: number): number => Math.round(bytes / MIB);

/** A sparse disk whose data lies in pieces of 1 to 8 MiB, and its other forms. */
async function makeForms(name: string, { diskMiB, dataMiB }: { diskMiB: number; dataMiB: number }): Promise<void> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.raw`);
  const handle = await open(path, "w");
  const next = numbersFrom(7);
  try {
    await handle.truncate(diskMiB * MIB);
    const stepMiB = Math.floor((diskMiB * 4) / dataMiB);
    for (let at = 0; at + stepMiB <= diskMiB; at += stepMiB) {
      // 4 MiB in each step, three parts of four random: a disk compresses somewhat.
      const bytes = seededBytes(4 * MIB, `${name}${at}`);
      for (let part = 3; part < 64; part += 4) bytes.fill("text ", part * 65536, (part + 1) * 65536);
      await handle.write(bytes, 0, bytes.length, (at + Math.floor(next() * (stepMiB - 4))) * MIB);
    }
  } finally {
    await handle.close();
  }
  const made = (form: string): string => join(folder, `${name}.${form}`);
  const makers: Record<string, string> = {
    qcow2: `qemu-img convert -O qcow2 ${path} ${made("qcow2")}`,
    "raw.xz": `xz -T0 -0 --block-size=4MiB -c ${path} > ${made("raw.xz")}`,
  };
  if (name === "quick") {
    makers["compressed.qcow2"] = `qemu-img convert -c -O qcow2 ${path} ${made("compressed.qcow2")}`;
    makers["raw.gz"] = `gzip -1 -c ${path} > ${made("raw.gz")}`;
    makers["raw.zst"] = `zstd -q -1 -c ${path} > ${made("raw.zst")}`;
  }
  for (const [form, command] of Object.entries(makers)) {
    await rm(made(form), { force: true });
    await run("/bin/sh", ["-ec", command]);
  }
}
