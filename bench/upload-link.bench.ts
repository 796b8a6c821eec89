// Bench: a whole upload, curl through the proxy into the upload server's volume. Raw over a link held to 1 Gbit/s (tbf between two
// network namespaces), beside a bare TLS sink on the same link; qcow2 and gz without such a limit, beside curl to a sink that
// writes a file and then the native conversion: through nginx in the proxy's place, which is the same way, and straight to the
// sink, which is one TLS hop less. In turns, with the anonymous memory of proxy and server. Needs root.
// --gib=8 (of incompressible bytes over the link) --turns=3 --rows=link,qcow2,qcow2-compressed,gz
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt } from "../test/integration/importer/world.ts";
import { checkout } from "../test/support/cdi-up.ts";
import { freePort } from "../test/support/nginx.ts";
import { ensureImages } from "./lib/disk-images.ts";
import { inTurn, median, ratioOf, report, round } from "./lib/figures.ts";
import { uploadWorld, watched, type Watched } from "./lib/upload-world.ts";

const option = (name: string, otherwise: string): string =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise;
const [gib, turns] = [Number(option("gib", "8")), Number(option("turns", "3"))];
const wanted = option("rows", "link,qcow2,qcow2-compressed,gz").split(",");

const dir = mkdtempSync(join(tmpdir(), "cdi-bench-"));
const file = (name: string): string => join(dir, name);
const sh = (command: string): string => execFileSync("bash", ["-euo", "pipefail", "-c", command], { encoding: "utf8" });
const space = `cdi-bench-${process.pid}`;
const inside = ["ip", "netns", "exec", space];
const [near, far] = ["10.213.77.1", "10.213.77.2"];
const release: (() => Promise<void> | void)[] = [];
const rows: object[] = [];

/** The client's end lies in a namespace of its own; what it sends passes a bucket of 1 Gbit/s. */
function makeLink(): void {
  const [here, there] = [`cb${process.pid}a`, `cb${process.pid}b`];
  sh(`ip netns add ${space}; ip link add ${here} type veth peer name ${there} netns ${space}`);
  release.push(() => void sh(`ip link del ${here}; ip netns del ${space}`));
  sh(`ip addr add ${near}/24 dev ${here}; ip link set ${here} up`);
  sh(`ip -n ${space} addr add ${far}/24 dev ${there}; ip -n ${space} link set ${there} up`);
  sh(`tc -n ${space} qdisc add dev ${there} root tbf rate 1gbit burst 256kb latency 50ms`);
}

makeLink();
try {
  ensureBuilt();
  const world = await uploadWorld(dir, near, (act) => void release.push(act));

  /** @returns seconds until the disk is in place and the server has ended, and memory */
  async function upload(path: string, claimGib: number, words: readonly string[]) {
    const server = await world.server(claimGib);
    const begun = performance.now();
    const { seen } = await watched([world.proxy.pid, server.pid], () => world.post(path, world.proxy.port, { words }));
    const seconds = (performance.now() - begun) / 1000;
    await server.close();
    return { seconds, seen };
  }

  async function row(
    name: string,
    path: string,
    how: { claimGib: number; words?: readonly string[] },
    beside: () => Promise<number>,
    oneHopLess?: () => Promise<number>,
  ): Promise<void> {
    const [ours, theirs, straight]: [number[], number[], number[]] = [[], [], []];
    const programs: Record<"proxy" | "server", Watched[]> = { proxy: [], server: [] };
    const ways: readonly (() => Promise<void>)[] = [
      async () => {
        const { seconds, seen } = await upload(path, how.claimGib, how.words ?? []);
        ours.push(seconds);
        if (!seen[0] || !seen[1]) throw new Error("nothing was seen of the proxy or the server");
        programs.proxy.push(seen[0]);
        programs.server.push(seen[1]);
      },
      async () => void theirs.push(await beside()),
      ...(oneHopLess ? [async () => void straight.push(await oneHopLess())] : []),
    ];
    for (let turn = 0; turn < turns; turn += 1) {
      console.error(`bench: ${name}, turn ${turn + 1} of ${turns}`);
      for (const way of inTurn(turn, ways)) {
        sh("sync");
        await way();
      }
    }
    const cpu = (all: Watched[]): number => round(median(all.map(({ cpuSeconds }) => cpuSeconds)));
    const mib = (all: Watched[]): number => Math.max(...all.map(({ mostMib }) => mostMib));
    rows.push({
      row: name,
      mib: Math.round(statSync(path).size / 2 ** 20),
      seconds: round(median(ours)),
      besideSeconds: round(median(theirs)),
      ofBeside: round(ratioOf(ours, theirs)),
      ...(oneHopLess
        ? { oneHopLessSeconds: round(median(straight)), ofOneHopLess: round(ratioOf(ours, straight)) }
        : {}),
      proxyCpuSeconds: cpu(programs.proxy),
      serverCpuSeconds: cpu(programs.server),
      proxyRssAnonMiB: mib(programs.proxy),
      serverRssAnonMiB: mib(programs.server),
    });
  }

  if (wanted.includes("link")) {
    const path = file("disk.raw");
    sh(`head -c ${Math.round(gib * 2 ** 30)} /dev/urandom > ${path}`);
    const port = await freePort();
    const bare = async (): Promise<number> => {
      const sink = await world.sink("", { address: near, port });
      const seconds = await world.post(path, port, { words: inside });
      await sink.close();
      return seconds;
    };
    await row("raw over 1 Gbit/s, beside a bare TLS sink", path, { claimGib: Math.ceil(gib) + 1, words: inside }, bare);
    rmSync(path);
  }
  const cache = join(checkout, ".cache", "bench");
  mkdirSync(cache, { recursive: true });
  const convert = `qemu-img convert -m 16 -W -f qcow2 -O raw ${file("got")} ${file("out")}`;
  const unzip = `gzip -dc ${file("got")} | dd of=${file("out")} conv=sparse bs=64k iflag=fullblock status=none`;
  const forms = [
    { form: "qcow2", name: "disk.qcow2", conversion: convert },
    { form: "qcow2-compressed", name: "disk-compressed.qcow2", conversion: convert },
    { form: "gz", name: "disk.raw.gz", conversion: unzip },
  ];
  for (const { form, name, conversion } of forms) {
    if (!wanted.includes(form)) continue;
    const path = join(await ensureImages(cache), name);
    const native = async (at: { address: string; port: number } | undefined, through: number): Promise<number> => {
      const sink = await world.sink(file("got"), at);
      const begun = performance.now();
      await world.post(path, through);
      sh(conversion);
      const seconds = (performance.now() - begun) / 1000;
      await sink.close();
      rmSync(file("got"));
      rmSync(file("out"));
      return seconds;
    };
    const straight = { address: near, port: await freePort() };
    await row(
      `${form}, beside curl to a file and the native conversion`,
      path,
      { claimGib: 5 },
      () => native(undefined, world.nginx.port),
      () => native(straight, straight.port),
    );
  }
  report(cache, "upload-link", { gib, turns }, rows);
} finally {
  for (const act of release.reverse()) await act();
  rmSync(dir, { recursive: true, force: true });
}
