// The metrics endpoint over real TLS: values are those of the moment of the scrape.
import { once } from "node:events";
import { get, type RequestOptions } from "node:https";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { selfSigned } from "../../../src/pki/index.ts";
import { makeRegistry, serveMetrics } from "../../../src/telemetry/index.ts";

const ask = (port: number, path: string, options: RequestOptions = {}): Promise<{ status: number; text: string }> =>
  new Promise((done, fail) => {
    const request = get(
      { host: "127.0.0.1", port, path, rejectUnauthorized: false, agent: false, ...options },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => done({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on("error", fail);
  });

test("serves the values of now on any path, over TLS, until closed", async () => {
  let value: number | undefined;
  const rows = [
    {
      name: "done_total",
      type: "counter" as const,
      help: "how far",
      labels: ["ownerUID"],
      read: () => (value === undefined ? [] : [{ value, labels: { ownerUID: "u" } }]),
    },
    { name: "rate", type: "gauge" as const, help: "how fast", labels: [], read: () => [{ value: 7, labels: {} }] },
  ];
  const now = Date.now();
  const { key, certificate } = await selfSigned({
    commonName: "x",
    usages: ["server"],
    notBefore: now - 1000,
    notAfter: now + 60_000,
  });
  const endpoint = await serveMetrics({
    registry: await makeRegistry(rows),
    host: "127.0.0.1",
    port: 0,
    key,
    cert: certificate,
  });
  onTestFinished(() => endpoint.close());

  expect((await ask(endpoint.port, "/metrics")).text).not.toContain("done_total{");
  value = 12.5;
  const { status, text } = await ask(endpoint.port, "/metrics");
  expect(status).toBe(200);
  expect(text).toContain('done_total{ownerUID="u"} 12.5');
  expect(text).toContain("rate 7");
  value = 50;
  expect((await ask(endpoint.port, "/")).text).toContain('done_total{ownerUID="u"} 50');
  expect((await ask(endpoint.port, "/metrics", { method: "POST" })).status).toBe(405);
  // A reader that connected and says nothing does not hold up the end.
  const mute = connect(endpoint.port, "127.0.0.1");
  onTestFinished(() => void mute.destroy());
  await once(mute, "connect");
  await endpoint.close();
  await expect(ask(endpoint.port, "/metrics")).rejects.toThrow("ECONNREFUSED");
});
