// SIGKILL of the real importer while it reads a source far away over several connections: what they were ahead is lost, and no
// more than that is fetched twice. Counted where it comes over the way: what the server's own buffers take of a stream that is
// left is another machine's matter.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startHttpServer } from "../../support/http-server.ts";
import { makeRawImage } from "../../support/images.ts";
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

describe("killed in the middle of several connections", () => {
  test.each(rows)("$path at $share of it goes on", { timeout: 60_000 }, async ({ path, share }) => {
    const file = files[path] ?? raw;
    const server = await startHttpServer({ files });
    const relay = await startRelay({ toPort: server.port, windowBytes: MiB / 2 }, onTestFinished);
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
    const twice = relay.bytes - file.length;
    console.log(`${path} at ${share}: fetched twice ${(twice / MiB).toFixed(1)} MiB`);
    expect(twice).toBeLessThan(file.length * 0.02 + 16 * MiB);
  });
});
