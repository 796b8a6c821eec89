// Bench: from the start of the importer program to its first request at the server, beside curl's and bare node's; without
// limits and under those of the default importer pod. Milliseconds.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importerEnv } from "../src/contract/importer-env.ts";
import { checkout } from "../test/support/cdi-up.ts";
import { median, ratioOf, report, round } from "./lib/figures.ts";
import { measure, noGroups, type Limits } from "./lib/measured-run.ts";

const turns = 9;
const refusal = noGroups();
if (refusal) throw new Error(refusal);

let askedAt = 0;
const server = createServer((_, response) => {
  askedAt ||= performance.now();
  response.writeHead(404).end();
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`;
const root = mkdtempSync(join(tmpdir(), "cdi-bench-"));
for (const folder of ["data", "dev"]) mkdirSync(join(root, folder));

const { source, endpoint, contentType, imageSize, ownerUid, preallocation } = importerEnv.variables;
const env = {
  CDI_ROOT: root,
  CDI_POD_IP: "127.0.0.1",
  [source.name]: "http",
  [endpoint.name]: url,
  [contentType.name]: "kubevirt",
  [imageSize.name]: "5Gi",
  [ownerUid.name]: "bench",
  [preallocation.name]: "false",
};
// The last command may fail: the answer is a 404. What counts came before it.
const ask = `fetch(${JSON.stringify(url)})`;
const ways: Record<string, string[]> = {
  importer: ["sh", "-c", '"$@" || true', "sh", process.execPath, join(checkout, "dist", "importer.js")],
  "node with its fetch": [process.execPath, "-e", ask],
  curl: ["curl", "-s", "-o", "/dev/null", url],
};

try {
  const rows: object[] = [];
  for (const limits of [undefined, "pod"] as Limits[]) {
    const seen = new Map<string, { ms: number[]; cpu: number[] }>();
    for (let turn = 0; turn < turns; turn += 1) {
      for (const [way, words] of Object.entries(ways)) {
        askedAt = 0;
        const begun = performance.now();
        const { cpuSeconds } = await measure(words, limits, env);
        if (askedAt === 0) throw new Error(`${way} sent no request`);
        const of = seen.get(way) ?? { ms: [], cpu: [] };
        of.ms.push(askedAt - begun);
        of.cpu.push(cpuSeconds);
        seen.set(way, of);
      }
    }
    const bare = seen.get("node with its fetch")?.ms ?? [];
    for (const [way, { ms, cpu }] of seen) {
      rows.push({
        limits: limits ?? "none",
        way,
        toFirstRequestMs: Math.round(median(ms)),
        ratioToNode: round(ratioOf(ms, bare)),
        cpuMs: Math.round(median(cpu) * 1000),
      });
    }
  }
  report(join(checkout, ".cache", "bench"), "start-up", { turns }, rows);
} finally {
  server.close();
  rmSync(root, { recursive: true, force: true });
}
