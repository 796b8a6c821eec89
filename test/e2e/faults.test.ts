// The named faults of an import, each with a real server: phase, conditions, events, texts, code and attempts
// (compat.md, "Failed is not harmless"), and that nothing half-written ever looks finished.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import {
  conditionOf,
  dataVolumeOf,
  diskOf,
  eventsAbout,
  history,
  holdsImage,
  isReady,
  phaseIs,
  startCluster,
} from "../support/cluster.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { withLateTable } from "../support/late-tables.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(8 * mib, 40, 11);
const release: (() => Promise<void>)[] = [];
let cluster: Embedded;
let server: HttpTestServer;
let tlsServer: HttpTestServer;

beforeAll(async () => {
  cluster = await startCluster((act) => release.push(act));
  const files = { "/disk.img": image };
  server = await startHttpServer({ files }, "keep");
  tlsServer = await startHttpServer({ files, tls: true }, "keep");
  release.push(
    () => server.close(),
    () => tlsServer.close(),
  );
});
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

const create = (...wish: Parameters<typeof dataVolumeOf>): Promise<unknown> =>
  cluster.client.create(dataVolumeOf(...wish), kinds.dataVolume);
const statesOf = (name: string, until: (dv: DataVolume) => boolean): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, until);
const phasesOf = (states: DataVolume[]): string[] => [...new Set(states.map((one) => one.status?.phase ?? ""))];
const claimOf = (name: string) => cluster.client.get({ kind: kinds.claim, namespace: "default", name });
const podOf = (name: string) => cluster.client.get({ kind: kinds.pod, namespace: "default", name: `importer-${name}` });

interface Terminal {
  when: string;
  wish: () => Parameters<typeof dataVolumeOf>[0];
  code: string;
  reason: string;
  text: string | RegExp;
  restarts: number;
}

const terminal: Terminal[] = [
  {
    when: "404",
    wish: () => ({ name: "not-found", url: server.url("/nope.img"), size: "64Mi" }),
    code: "SourceNotFound",
    reason: "Error",
    text: "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found",
    restarts: 4,
  },
  {
    when: "too small",
    wish: () => ({ name: "too-small", url: server.url("/disk.img"), size: "4Mi", mode: "Block" }),
    code: "TargetTooSmall",
    reason: "Error",
    text: "DataVolume too small to contain image",
    restarts: 1,
  },
  {
    when: "unknown CA",
    wish: () => ({ name: "unknown-ca", url: tlsServer.url("/disk.img"), size: "64Mi" }),
    code: "UnknownAuthority",
    reason: "Error",
    text: /^Unable to connect to http data source: /,
    restarts: 4,
  },
  {
    when: "checksum mismatch",
    wish: () => ({
      name: "checksum",
      url: server.url("/disk.img"),
      size: "64Mi",
      http: { checksum: `md5:${"0".repeat(32)}` },
    }),
    code: "ChecksumMismatch",
    reason: "ChecksumError",
    text: /checksum mismatch: expected md5:0{32}, calculated md5:[0-9a-f]{32}$/,
    restarts: 0,
  },
];

describe("faults that end in Failed", () => {
  test.each(terminal)("$when", async ({ wish, code, reason, text, restarts }) => {
    const asked = wish();
    await create(asked);
    const states = await statesOf(asked.name, phaseIs("Failed", "Succeeded"));
    const last = states.at(-1);
    expect(last?.status?.phase).toBe("Failed");
    const phases = phasesOf(states);
    if (restarts > 0) expect(phases).toContain("ImportInProgress");
    expect(phases).not.toContain("Succeeded");
    const running = conditionOf(last as DataVolume, "Running");
    expect(running).toMatchObject({ status: "False", reason });
    expect(running?.message).toEqual(typeof text === "string" ? text : expect.stringMatching(text));
    expect(conditionOf(last as DataVolume, "Stalled")).toMatchObject({ status: "True", reason: code });
    expect(conditionOf(last as DataVolume, "Ready")).toMatchObject({ status: "False" });
    expect(last?.status?.transfer).toMatchObject({ code, remedy: expect.stringMatching(/\w/) as string });
    expect(last?.status?.restartCount ?? 0).toBe(restarts);
    const claim = await claimOf(asked.name);
    expect(claim?.metadata.annotations).toMatchObject({
      "cdi.kubevirt.io/storage.import.fatalError": "true",
      "cdi.kubevirt.io/storage.pod.phase": "Failed",
      "cdi.kubevirt.io/storage.condition.running": "false",
      "cdi.kubevirt.io/storage.condition.running.reason": reason,
    });
    await expect.poll(() => podOf(asked.name), { timeout: 10_000 }).toBeUndefined();
    const disk = await diskOf(cluster, asked.name);
    if (disk) expect(holdsImage(disk, image)).toBe(false);
    const told = async (): Promise<Record<string, number>> => {
      const events = await eventsAbout(cluster, asked.name, "DataVolume");
      const isRunning = (event: (typeof events)[number]): boolean =>
        event.type === "Warning" && event.message === running?.message;
      return {
        running: events.filter((event) => event.reason === reason && isRunning(event)).length,
        code: events.filter((event) => event.reason === code).length,
      };
    };
    await expect.poll(told, { timeout: 5_000 }).toEqual({ running: 1, code: 1 });
  });
});

describe("faults that are tried for ever", () => {
  test("a source that cuts the connection, then serves whole", async () => {
    server.faults = { cutAtByte: 3 * mib };
    await create({ name: "cut", url: server.url("/disk.img"), size: "64Mi" });
    const before = await statesOf("cut", (dv) => (dv.status?.restartCount ?? 0) >= 2);
    const stalled = before.at(-1) as DataVolume;
    expect(stalled.status?.phase).toBe("ImportInProgress");
    expect(stalled.status?.transfer).toMatchObject({ code: "SourceCut" });
    expect(await diskOf(cluster, "cut").catch(() => undefined)).toBeUndefined();
    server.faults = {};
    const after = await statesOf("cut", (dv) => phaseIs("Failed", "Succeeded")(dv) && isReady(dv));
    expect(phasesOf(before)).not.toContain("Failed");
    expect(after.at(-1)?.status).toMatchObject({ phase: "Succeeded", progress: "100.0%" });
    expect(conditionOf(after.at(-1) as DataVolume, "Stalled")?.status).toBe("False");
    expect(holdsImage((await diskOf(cluster, "cut")) as Buffer, image)).toBe(true);
  });

  test("a source that vanishes in the middle and comes back", async () => {
    server.files["/comes-back.img"] = image;
    server.faults = { cutAfterBytes: 2 * mib, bytesPerSecond: 2 * mib, times: 1 };
    await create({ name: "vanishes", url: server.url("/comes-back.img"), size: "64Mi" });
    const sent = (): boolean =>
      server.requests.some(({ path, bodyBytes }) => path === "/comes-back.img" && bodyBytes > mib);
    await expect.poll(sent, { timeout: 15_000 }).toBe(true);
    delete server.files["/comes-back.img"];
    const before = await statesOf("vanishes", (dv) => (dv.status?.restartCount ?? 0) >= 2);
    expect(before.at(-1)?.status?.phase).toBe("ImportInProgress");
    server.files["/comes-back.img"] = image;
    await statesOf("vanishes", (dv) => phaseIs("Succeeded")(dv) && isReady(dv));
    expect(holdsImage((await diskOf(cluster, "vanishes")) as Buffer, image)).toBe(true);
  });

  test("scratch space that is full", async () => {
    // More comes before its table than the scratch volume takes.
    server.files["/long.qcow2.gz"] = gzipSync(withLateTable(await emptyQcow2(16 * mib), 160 * mib));
    await create({ name: "scratch-full", url: server.url("/long.qcow2.gz"), size: "64Mi" });
    const states = await statesOf("scratch-full", (dv) => (dv.status?.restartCount ?? 0) >= 6);
    const last = states.at(-1) as DataVolume;
    expect(phasesOf(states)).not.toContain("Failed");
    expect(last.status).toMatchObject({ phase: "ImportInProgress", transfer: { code: "TargetFull" } });
    expect(states.map((one) => conditionOf(one, "Running")?.message)).toContain(
      "DataVolume too small to contain image",
    );
    await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name: "scratch-full" });
  });
});

test("a failed DataVolume is tried again when its retry annotation changes", async () => {
  await create({ name: "second-try", url: server.url("/later.img"), size: "64Mi" });
  await statesOf("second-try", phaseIs("Failed"));
  server.files["/later.img"] = image;
  const ref = { kind: kinds.dataVolume, namespace: "default", name: "second-try" };
  const annotations = { "cdi.kubevirt.io/storage.import.retry": "1" };
  await cluster.client.patch(ref, { metadata: { annotations } }, { type: "merge" });
  await statesOf("second-try", (dv) => phaseIs("Succeeded")(dv) && isReady(dv));
  expect(holdsImage((await diskOf(cluster, "second-try")) as Buffer, image)).toBe(true);
});

test("the right checksum succeeds", async () => {
  const sha256 = createHash("sha256").update(image).digest("hex");
  await create({
    name: "checked",
    url: server.url("/disk.img"),
    size: "64Mi",
    http: { checksum: `SHA256:${sha256.toUpperCase()}` },
  });
  await statesOf("checked", (dv) => phaseIs("Succeeded")(dv) && isReady(dv));
});

async function emptyQcow2(virtualBytes: number): Promise<Buffer> {
  const { mkdtemp, readFile, rm } = await import("node:fs/promises");
  const { runText } = await import("../support/run-text.ts");
  const dir = await mkdtemp("/tmp/cdi-test-");
  await runText("qemu-img", ["create", "-q", "-f", "qcow2", `${dir}/a.qcow2`, String(virtualBytes)]);
  const head = await readFile(`${dir}/a.qcow2`);
  await rm(dir, { recursive: true });
  return head;
}
