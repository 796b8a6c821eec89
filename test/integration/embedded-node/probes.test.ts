// Readiness probes: a container is ready when its probe passes, and no longer when it fails often enough.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/lib/clock.ts";
import { probeReadiness } from "../../../src/embedded/pods/probes.ts";

test.each([
  { when: "over HTTP", probe: (port: number) => ({ httpGet: { port, path: "/healthz" } }) },
  { when: "by a port's name", probe: () => ({ httpGet: { port: "web", path: "/healthz" } }) },
])("ready with the first good answer, $when; unready after the third bad one", async ({ probe }) => {
  let status = 503;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(status).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const stop = new AbortController();
  const told: boolean[] = [];
  const probing = probeReadiness({
    probe: { ...probe(port), periodSeconds: 0.05 },
    container: { name: "c", image: "i", ports: [{ name: "web", containerPort: port }] },
    podIp: "127.0.0.1",
    clock: systemClock,
    signal: stop.signal,
    onChange: (ready) => told.push(ready),
  });
  await expect.poll(() => asked.length).toBeGreaterThan(2);
  expect(told).toEqual([]);
  status = 204;
  await expect.poll(() => told).toEqual([true]);
  status = 500;
  const before = asked.length;
  await expect.poll(() => told).toEqual([true, false]);
  expect(asked.length - before).toBeGreaterThanOrEqual(3);
  expect(new Set(asked)).toEqual(new Set(["/healthz"]));
  stop.abort();
  await probing;
});

test("a port nobody listens on is not ready", async () => {
  const stop = new AbortController();
  const told: boolean[] = [];
  const probing = probeReadiness({
    probe: { tcpSocket: { port: 1 }, periodSeconds: 0.02 },
    container: { name: "c", image: "i" },
    podIp: "127.0.0.1",
    clock: systemClock,
    signal: stop.signal,
    onChange: (ready) => told.push(ready),
  });
  await systemClock.sleep(200);
  stop.abort();
  await probing;
  expect(told).toEqual([]);
});
