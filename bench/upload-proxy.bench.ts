// Bench: the upload proxy beside nginx, each TLS in and client certificate out, in turns: in front of a bare sink that takes the
// bytes and drops them, and in front of the real upload server. Rates are of the machine as it is now, and of all that works on
// it at once: the CPU seconds a GiB say more. --turns=5 --gib=1 --behind=sink,server
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt } from "../test/integration/importer/world.ts";
import { checkout } from "../test/support/cdi-up.ts";
import { inTurn, median, ratioOf, report } from "./lib/figures.ts";
import { uploadWorld, watched } from "./lib/upload-world.ts";

const option = (name: string, otherwise: string): string =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise;
const [turns, gib] = [Number(option("turns", "5")), Number(option("gib", "1"))];

ensureBuilt();
const dir = await mkdtemp(join(tmpdir(), "cdi-bench-"));
const release: (() => Promise<void> | void)[] = [];
const rows: object[] = [];
try {
  const world = await uploadWorld(dir, "127.0.0.1", (act) => void release.push(act));
  const body = join(dir, "body");
  execFileSync("sh", ["-c", `head -c ${gib * 2 ** 30} /dev/urandom > "$0"`, body]);
  for (const behind of option("behind", "sink,server").split(",")) {
    const seen = {
      nginx: { rate: [] as number[], cpu: [] as number[] },
      proxy: { rate: [] as number[], cpu: [] as number[] },
    };
    const most = { proxy: 0, server: 0 };
    for (let turn = 0; turn < turns; turn += 1) {
      for (const way of inTurn(turn, ["nginx", "proxy"] as const)) {
        const { port, pid } = world[way];
        const receiver = behind === "sink" ? await world.sink() : await world.server(gib + 1);
        const { seen: took, done: seconds } = await watched([pid, receiver.pid], () => world.post(body, port));
        seen[way].rate.push((gib * 1024) / seconds);
        seen[way].cpu.push((took[0]?.cpuSeconds ?? 0) / gib);
        if (way === "proxy") most.proxy = Math.max(most.proxy, took[0]?.mostMib ?? 0);
        most.server = Math.max(most.server, took[1]?.mostMib ?? 0);
        await receiver.close();
      }
    }
    for (const way of ["nginx", "proxy"] as const) {
      rows.push({
        behind,
        way,
        mibPerSecond: Math.round(median(seen[way].rate)),
        ofNginx: Number(ratioOf(seen[way].rate, seen.nginx.rate).toFixed(2)),
        cpuSecondsPerGib: Number(median(seen[way].cpu).toFixed(2)),
        ...(way === "proxy" ? { proxyRssAnonMiB: most.proxy, receiverRssAnonMiB: most.server } : {}),
      });
    }
  }
  report(join(checkout, ".cache", "bench"), "upload-proxy", { turns, gib }, rows);
} finally {
  for (const act of release.reverse()) await act();
  await rm(dir, { recursive: true, force: true });
}
