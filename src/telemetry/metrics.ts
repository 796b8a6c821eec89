// Metrics that are read when asked for: a row names a metric and how to get its value now. No globals, no timers.
import type { Registry } from "prom-client";

export interface MetricRow {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** The value now with its labels, one entry a series; empty while unknown. */
  readonly read: () => readonly { value: number; labels: Readonly<Record<string, string>> }[];
  /** Names of all labels a series may bear. */
  readonly labels: readonly string[];
}

/** A registry of its own for these rows. Loads prom-client when called: a pod's log must not wait for it. */
export async function makeRegistry(rows: readonly MetricRow[]): Promise<Registry> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  for (const { name, type, help, labels, read } of rows) {
    const shared = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === "counter") {
      new Counter({
        ...shared,
        collect() {
          this.reset();
          for (const series of read()) this.inc({ ...series.labels }, Math.max(0, series.value));
        },
      });
      continue;
    }
    new Gauge({
      ...shared,
      collect() {
        this.reset();
        for (const series of read()) this.set({ ...series.labels }, series.value);
      },
    });
  }
  return registry;
}
