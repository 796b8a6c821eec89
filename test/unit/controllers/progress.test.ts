import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Pod } from "../../../src/api/core.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { watchProgress } from "../../../src/controllers/import/progress.ts";
import { fetchMetrics } from "../../../src/controllers/parts/scrape.ts";
import type { Cache, Change } from "../../../src/kube/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { selfSigned } from "../../../src/pki/index.ts";
import { aPod, dataVolumeUid, isRunning, terminated } from "../../support/objects.ts";
import { testClock } from "../../support/test-clock.ts";

/** A cache of the one pod, set by the test. */
function onePod() {
  let pod: KubeObject | undefined;
  const handlers: ((change: Change) => void)[] = [];
  const cache = {
    get: () => pod,
    onChange: (handler: (change: Change) => void) => void handlers.push(handler),
  } as unknown as Cache;
  return {
    cache,
    set: (after: Pod | undefined): void => {
      const before = pod;
      pod = after;
      for (const handler of handlers) handler({ ...(before ? { before } : {}), ...(after ? { after } : {}) });
    },
  };
}
const metric = (value: number) => `kubevirt_cdi_import_progress_total{ownerUID="${dataVolumeUid}"} ${value}`;

test("a running pod is asked every 2 s, changes are told, and a restart forgets", async () => {
  const clock = testClock();
  const { cache, set } = onePod();
  const answers: (string | Error)[] = [new Error("ECONNREFUSED"), metric(10), metric(10), metric(20)];
  let told = 0;
  const fetch = () => {
    const next = answers.shift() ?? metric(20);
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const watch = watchProgress({ pods: cache, clock, log: silentLog, onReading: () => void (told += 1), fetch });
  onTestFinished(async () => {
    await watch.close();
    expect(clock.sleeping).toBe(0);
  });
  const running = aPod({ phase: "Running", state: isRunning });
  set(aPod());
  expect(clock.sleeping).toBe(0);
  set(running);
  await clock.advance(0);
  expect(watch.readingOf(running)).toBeUndefined();
  const seen: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await clock.advance(2000);
    seen.push(told);
  }
  expect(seen).toEqual([1, 1, 2]);
  expect(watch.readingOf(running)).toEqual({ percent: 20 });
  expect(watch.readingOf(aPod({ phase: "Running", state: isRunning, restarts: 1 }))).toBeUndefined();
  set(aPod({ phase: "Running", state: terminated(1, "x") }));
  await clock.advance(2000);
  expect(clock.sleeping).toBe(0);
});

test("metrics come over TLS nobody vouches for", async () => {
  const notBefore = Date.now() - 60_000;
  const made = await selfSigned({
    commonName: "importer",
    ips: ["127.0.0.1"],
    usages: ["server"],
    notBefore,
    notAfter: notBefore + 600_000,
  });
  const server = createServer({ key: made.key, cert: made.certificate }, (request, response) => {
    if (request.url === "/metrics") response.end(metric(5));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  expect(await fetchMetrics("127.0.0.1", port, new AbortController().signal)).toBe(metric(5));
});
