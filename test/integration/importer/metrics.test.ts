// The importer's metrics, scraped over TLS while a slow import runs.
import { get } from "node:https";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { importProgress, importProgressOld, transferMetrics } from "../../../src/contract/metrics.ts";
import { metricsPort } from "../../../src/contract/paths.ts";
import {
  anEnv,
  ensureBuilt,
  makeFolder,
  makeImages,
  makePod,
  serveFolder,
  startImporter,
  type WebServer,
} from "./world.ts";

let folder: { path: string; remove: () => Promise<void> };
let server: WebServer;
beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  await makeImages(folder.path);
  server = await serveFolder(folder.path);
});
afterAll(async () => {
  await server.close();
  await folder.remove();
});

const scrape = (host: string): Promise<string | undefined> =>
  new Promise((done) => {
    const request = get(
      { host, port: metricsPort, path: "/metrics", rejectUnauthorized: false, agent: false },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => done(text));
      },
    );
    request.on("error", () => done(undefined));
  });
const valueIn = (text: string, series: string): number | undefined => {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

test.each([
  { listener: "a current controller", name: importProgress, host: "127.83.1.1", drop: [] as string[] },
  { listener: "one of v1.56", name: importProgressOld, host: "127.83.1.2", drop: ["CACHE_MODE", "IMPORTER_CHECKSUM"] },
])("$listener sees the progress grow, and never 100 before the end", async ({ name, host, drop }) => {
  const pod = await makePod();
  onTestFinished(() => pod.remove());
  const env = Object.fromEntries(
    Object.entries(anEnv({ endpoint: `${server.url}/slow/disk.img`, imageSize: "20Mi" })).filter(
      ([key]) => !drop.includes(key),
    ),
  );
  const running = startImporter(pod, { ...env, CDI_POD_IP: host });
  const seen: number[] = [];
  let last = "";
  let isOver = false;
  const ended = running.ended.finally(() => (isOver = true));
  while (!isOver) {
    const text = await scrape(host);
    const percent = text === undefined ? undefined : valueIn(text, `${name}{ownerUID="owner-1"}`);
    if (text !== undefined && percent !== undefined && percent !== seen.at(-1)) {
      seen.push(percent);
      if (text.includes('stage="transferring"')) last = text;
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  const ran = await ended;
  expect(ran, ran.log).toMatchObject({ exit: 0 });
  expect(seen.length).toBeGreaterThan(3);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  const [highest = 0] = seen.slice(-1);
  expect(highest).toBeGreaterThan(50);
  expect(last).toContain(`# TYPE ${name} counter`);
  expect(valueIn(last, `${transferMetrics.stage}{ownerUID="owner-1",stage="transferring"}`)).toBe(1);
  expect(valueIn(last, `${transferMetrics.bytesTotal}{ownerUID="owner-1"}`)).toBe(16 * 2 ** 20);
  for (const series of [transferMetrics.bytesDone, transferMetrics.bytesRead, transferMetrics.bytesPerSecond]) {
    expect(valueIn(last, `${series}{ownerUID="owner-1"}`)).toBeGreaterThan(0);
  }
  expect(await scrape(host)).toBeUndefined();
});
