// Starts the metrics endpoint once the source has answered: loading its packages and making a key pair takes as long as
// everything before the first request. A port that cannot be had does not fail an import.
import { hostname } from "node:os";
import { minutes, seconds } from "../src/lib/duration.ts";
import type { Log } from "../src/lib/log.ts";
import type { MetricsEndpoint } from "../src/telemetry/index.ts";
import { importerMetricRows, type ImporterMetricsOf } from "./metrics.ts";

/** No import lives this long; readers do not verify it anyway. */
const validMs = minutes(60 * 24 * 365);
/** Served from then on even if the source has not answered. */
const patienceMs = seconds(2);

export interface MetricsRunning {
  /** The work is on its way: time to start. Calls after the first change nothing. */
  readonly start: () => void;
  /** Waits for a start under way, then stops. Never throws. */
  readonly stop: () => Promise<void>;
}

export interface MetricsSettings {
  readonly of: ImporterMetricsOf;
  readonly host: string;
  readonly port: number;
  readonly log: Log;
}

/** Starts at `start`, or after 2 s; not at all when stopped before. */
export function metricsEndpoint(settings: MetricsSettings): MetricsRunning {
  let started: Promise<MetricsEndpoint | undefined> | undefined;
  let isStopped = false;
  const start = (): void => {
    clearTimeout(timer);
    if (isStopped) return;
    started ??= serve(settings).catch((cause: unknown) => {
      settings.log.warn("Serving metrics failed; the import goes on without", { error: cause });
      return undefined;
    });
  };
  const timer = setTimeout(start, patienceMs);
  return {
    start,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await (await started)?.close();
    },
  };
}

async function serve({ of, host, port, log }: MetricsSettings): Promise<MetricsEndpoint> {
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
  const endpoint = await serveMetrics({ registry: await makeRegistry(importerMetricRows(of)), host, port, key, cert });
  log.debug("Serving metrics", { host, port: endpoint.port });
  return endpoint;
}
