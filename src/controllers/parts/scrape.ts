// Asks a running importer how far it is: HTTPS to the pod's metrics port, and the reading of what comes back.
// The pod's certificate is its own (upstream's too), so it is not verified: nothing secret is sent or believed.
import { request } from "node:https";
import { importProgress, transferMetrics } from "../../contract/metrics.ts";

/** What one scrape said; every field may be missing. */
export interface Reading {
  percent?: number;
  bytesDone?: number;
  bytesTotal?: number;
  bytesRead?: number;
  bytesPerSecond?: number;
  stage?: string;
  stageIndex?: number;
  stageCount?: number;
  resumedFromBytes?: number;
}

const scrapeTimeoutMs = 2_000;
/** Metrics of one import are a few kilobytes; more is not from an importer. */
const answerLimit = 1024 * 1024;

/** @returns the metrics text. @throws the connection's error, or one saying that it took too long */
export function fetchMetrics(host: string, port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(scrapeTimeoutMs)]);
    const call = request(
      { host, port, path: "/metrics", rejectUnauthorized: false, agent: false, signal: limit },
      (answer) => {
        answer.setEncoding("utf8");
        let text = "";
        answer.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > answerLimit) answer.destroy(new Error("the metrics answer is too long"));
        });
        answer.on("end", () => resolve(text));
        answer.on("error", reject);
      },
    );
    call.on("error", reject);
    call.end();
  });
}

const sample = /^(?<name>[a-zA-Z_:][\w:]*)\{(?<labels>[^}]*)\}\s+(?<value>[-+\d.eE]+)\s*$/;

/** Reads the samples of one owner. v1.56 called its progress by several names, all ending in `progress`. */
export function readMetrics(text: string, ownerUid: string): Reading {
  const reading: Reading = {};
  const owner = `ownerUID="${ownerUid}"`;
  const fields = Object.entries(transferMetrics);
  for (const line of text.split("\n")) {
    const { name, labels, value } = sample.exec(line)?.groups ?? {};
    const number = Number(value);
    if (!name || !labels?.includes(owner) || !Number.isFinite(number) || number < 0) continue;
    if (name === importProgress || (name.endsWith("progress") && labels === owner)) {
      reading.percent = Math.min(100, number);
      continue;
    }
    const field = fields.find(([, metric]) => metric === name)?.[0] as keyof typeof transferMetrics | undefined;
    if (field === "stage") {
      const stage = /\bstage="(\w+)"/.exec(labels)?.[1];
      if (number === 1 && stage) reading.stage = stage;
      continue;
    }
    if (field) reading[field] = number;
  }
  return reading;
}

/** True once the source has sent a byte. */
export const hasDelivered = (reading: Reading | undefined): boolean =>
  (reading?.bytesRead ?? 0) > 0 || (reading?.bytesDone ?? 0) > 0 || (reading?.percent ?? 0) > 0;
