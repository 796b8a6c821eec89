// Starts the metrics endpoint beside the import: loading its packages and making a key pair must not hold up the first
// request, and a port that cannot be had must not fail an import.
import { hostname } from "node:os";
import { minutes } from "../src/lib/duration.ts";
import type { Log } from "../src/lib/log.ts";
import { importerMetricRows, type ImporterMetricsOf } from "./metrics.ts";

/** No import lives this long; readers do not verify it anyway. */
const validMs = minutes(60 * 24 * 365);

export interface MetricsRunning {
  /** Waits for a start under way, then stops. Never throws. */
  stop(): Promise<void>;
}

export interface MetricsSettings {
  readonly of: ImporterMetricsOf;
  readonly host: string;
  readonly port: number;
  readonly log: Log;
}

export function startMetrics(settings: MetricsSettings): MetricsRunning {
  const started = start(settings).catch((cause: unknown) => {
    settings.log.warn("Serving metrics failed; the import goes on without", { error: cause });
    return undefined;
  });
  return {
    async stop() {
      await (await started)?.close();
    },
  };
}

async function start({ of, host, port, log }: MetricsSettings) {
  const [{ makeRegistry, serveMetrics }, { selfSigned }] = await Promise.all([
    import("../src/telemetry/index.ts"),
    import("../src/pki/index.ts"),
  ]);
  const name = hostname();
  const notBefore = Date.now();
  const { key, certificate: cert } = await selfSigned({
    commonName: name.slice(0, 64),
    dnsNames: [name],
    usages: ["server"],
    notBefore: notBefore - minutes(5),
    notAfter: notBefore + validMs,
  });
  const endpoint = await serveMetrics({ registry: makeRegistry(importerMetricRows(of)), host, port, key, cert });
  log.debug("Serving metrics", { host, port: endpoint.port });
  return endpoint;
}
