// SIGKILL of the real importer while it reads a source far away over several connections: what they were ahead is lost, and no
// more than that is fetched twice. Counted where it comes over the way, and in a real nginx's own log of bytes sent: there what
// its socket's buffer took of a stream that was left counts too.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startHttpServer } from "../../support/http-server.ts";
import { makeRawImage } from "../../support/images.ts";
import { makeFolder as makeNginxFolder, type AtEnd } from "../../support/loop.ts";
import { noNginx, startNginx } from "../../support/nginx.ts";
import { startRelay } from "../../support/relay.ts";
import { anEnv, ensureBuilt, makeFolder, makePod, MiB, startImporter, type Pod } from "./world.ts";

const raw = makeRawImage(96 * MiB, 90, 6, 2 * MiB);
const files: Record<string, Buffer> = { "/disk.img": raw };

beforeAll(async () => {
  ensureBuilt();
  const folder = await makeFolder();
  const path = join(folder.path, "disk.img");
  await writeFile(path, raw);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", path, `${path}.qcow2`]);
  files["/disk.qcow2"] = await readFile(`${path}.qcow2`);
  await folder.remove();
}, 120_000);

async function savedBytes(pod: Pod): Promise<number> {
  const text = await readFile(pod.at("/data/disk.img.part.checkpoint"), "utf8").catch(() => "{}");
  return (JSON.parse(text) as { inputBytes?: number }).inputBytes ?? 0;
}

const isLong = process.env.CDI_TEST_LONG === "1";
const rows = ["/disk.img", "/disk.qcow2"].flatMap((path) =>
  (isLong ? [0.3, 0.5, 0.7] : [0.5]).map((share) => ({ path, share })),
);

/** Imports through the relay, is killed and started again. @returns bytes that came over the way beyond the file's */
async function killedAndEnded(port: number, path: string, share: number): Promise<number> {
  const file = files[path] ?? raw;
  const relay = await startRelay({ toPort: port, windowBytes: MiB / 2 }, onTestFinished);
  const pod = await makePod();
  onTestFinished(() => pod.remove());
  const checksum = `sha256:${createHash("sha256").update(file).digest("hex")}`;
  const env = anEnv({ endpoint: `http://127.0.0.1:${relay.port}${path}`, imageSize: "128Mi", checksum });
  const first = startImporter(pod, env);
  await expect
    .poll(() => savedBytes(pod), { timeout: 50_000, interval: 2 })
    .toBeGreaterThan(Math.floor(file.length * share));
  first.kill("SIGKILL");
  await first.ended;
  expect(relay.mostBusy).toBeGreaterThan(2);
  const ran = await startImporter(pod, env).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { message: "Import Complete" } });
  expect(ran.log).toContain("Resuming");
  expect((await readFile(pod.at("/data/disk.img"))).subarray(0, raw.length).equals(raw)).toBe(true);
  return relay.bytes - file.length;
}

const shown = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`;
const allowed = (path: string): number => (files[path]?.length ?? 0) * 0.02 + 16 * MiB;

describe("killed in the middle of several connections", () => {
  test.each(rows)("$path at $share of it goes on", { timeout: 60_000 }, async ({ path, share }) => {
    const server = await startHttpServer({ files });
    const twice = await killedAndEnded(server.port, path, share);
    console.log(`${path} at ${share}: fetched twice ${shown(twice)}`);
    expect(twice).toBeLessThan(allowed(path));
  });

  test.skipIf(noNginx).each(rows)(
    `$path at $share of it, by the log of nginx${noNginx ? `: ${noNginx}` : ""}`,
    { timeout: 60_000 },
    async ({ path, share }) => {
      const releases: (() => Promise<void>)[] = [];
      onTestFinished(async () => {
        for (const release of releases.splice(0)) await release();
      });
      const atEnd: AtEnd = (release) => void releases.unshift(release);
      const folder = await makeNginxFolder("cdi-far-", atEnd);
      const log = join(folder, "access.log");
      await writeFile(join(folder, basename(path)), files[path] ?? raw);
      const url = await startNginx(folder, atEnd, log);
      const overTheWay = await killedAndEnded(Number(new URL(url).port), path, share);
      // nginx logs a request when it ends: all of them have by now, or end with it.
      await releases.shift()?.();
      const lines = (await readFile(log, "utf8")).trim().split("\n");
      const sent = lines.reduce((sum, line) => sum + Number(line.split(" ")[1]), 0);
      const twice = sent - (files[path]?.length ?? 0);
      console.log(`${path} at ${share}: sent twice by nginx ${shown(twice)}, over the way ${shown(overTheWay)}`);
      expect(twice).toBeLessThan(allowed(path));
    },
  );
});
