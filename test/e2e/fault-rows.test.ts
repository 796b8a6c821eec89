// Every row of fault-rows.ts on an embedded cluster, with a real server or volume of its own: code, text, attempts, phase,
// events. The rows about a cluster's own limits have a cluster each: fault-limits.test.ts.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { FAULTS } from "../../src/lib/faults.ts";
import {
  conditionOf,
  dataVolumeOf,
  diskOf,
  eventsAbout,
  history,
  holdsImage,
  phaseIs,
  startCluster,
  type Wish,
} from "../support/cluster.ts";
import { faultRows, fineRows } from "./fault-rows.ts";
import { image, makeWorlds, type MadeWorlds } from "./fault-worlds.ts";
import { limitRows } from "./fault-limits.ts";

const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): void => void release.push(act);
let cluster: Embedded;
let made: MadeWorlds;

beforeAll(async () => {
  cluster = await startCluster(atEnd, { maxRunning: 6 });
  made = await makeWorlds(cluster, atEnd);
}, 120_000);
afterAll(async () => {
  // It lets go of the volumes below it.
  await cluster.close();
  for (const act of release.reverse()) await act();
});

/** Enough to see that it is tried on where the others would have given up. */
const restartsOfAlways = 5;
const isLongRun = process.env.CDI_TEST_LONG === "1";
const rows = faultRows
  .map((row, index) => ({ ...row, name: `row-${index}` }))
  .filter(({ when, isLong }) => !limitRows.includes(when) && (isLongRun || isLong !== true));

test.concurrent.for(rows)("$when", { timeout: isLongRun ? 1_800_000 : 360_000 }, async (row, context) => {
  const { when, code, attempts, phase, condition, reason, text, name } = row;
  const why = made.impossible[when];
  if (why) return context.skip(why);
  const { expect: expecting } = context;
  const world = await made.worlds[when]?.(name);
  if (!world) throw new Error(`nothing makes "${when}" happen`);
  const wish: Wish = { name, size: "16Mi", ...world.wish };
  await cluster.client.create(dataVolumeOf(wish), kinds.dataVolume);
  const watching = history<DataVolume>(cluster, kinds.dataVolume, name, isOver, row.isLong ? 1_500_000 : 200_000);
  await Promise.all([world.meanwhile?.(), watching]);
  const states = await watching;
  const last = states.at(-1) as DataVolume;
  const shown = (one: DataVolume): string => {
    const told = conditionOf(one, condition);
    return `${told?.status} ${told?.reason}: ${told?.message ?? ""}`;
  };
  const isTold = (line: string): boolean => line.startsWith(`False ${reason}: `) && line.includes(text);
  expecting([...new Set(states.map(shown))]).toSatisfy((lines: string[]) => lines.some(isTold));
  expecting(last.status?.phase ?? "").toBe(phase);
  expecting(last.status?.transfer).toMatchObject({ code, remedy: FAULTS[code].remedy });
  expecting(conditionOf(last, "Stalled")).toMatchObject({ status: "True", reason: code });
  const stage = stageIn(text);
  if (stage) expecting(states.map((one) => one.status?.transfer?.stage)).toContain(stage);
  if (attempts !== "always" && attempts !== "none") {
    expecting(shown(last)).toContain(text);
    expecting(last.status?.restartCount ?? 0).toBe(attempts - 1);
    if (attempts > 1) expecting(states.some(phaseIs("ImportInProgress"))).toBe(true);
    const pod = { kind: kinds.pod, namespace: "default", name: `importer-${name}` };
    await expecting.poll(() => cluster.client.get(pod), { timeout: 60_000 }).toBeUndefined();
    const disk = await diskOf(cluster, name);
    if (disk) expecting(holdsImage(disk, image)).toBe(false);
  }
  if (attempts === "none") expecting(last.status?.restartCount ?? 0).toBe(0);
  const codesTold = async (): Promise<number> =>
    (await eventsAbout(cluster, name, "DataVolume")).filter((event) => event.reason === code).length;
  await expecting.poll(codesTold, { timeout: 60_000 }).toBe(1);
  await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name });

  function isOver(dv: DataVolume): boolean {
    if (attempts === "none") return conditionOf(dv, "Stalled")?.reason === code;
    const restarts = row.isLong ? 1 : restartsOfAlways;
    return phaseIs("Failed", "Succeeded")(dv) || (attempts === "always" && (dv.status?.restartCount ?? 0) >= restarts);
  }
});

/** The data path's stage that an importer's text names. */
function stageIn(text: string): string | undefined {
  if (/^Unable to connect to |Unable to obtain information/.test(text)) return "connecting";
  return text.includes("Unable to transfer source data to target") ? "transferring" : undefined;
}

const passing: Record<(typeof fineRows)[number], () => ReturnType<MadeWorlds["one"]>> = {
  "500 three times, then fine": () => made.one("/a.img", image, { status: 500, times: 3 }),
  "503 three times, then fine": () => made.one("/a.img", image, { status: 503, times: 3 }),
  "429 with Retry-After once, then fine": () =>
    made.one("/a.img", image, { status: 429, headers: { "retry-after": "1" }, times: 1 }),
  "a slow start: three seconds before the first answer": () => made.one("/a.img", image, { delayMs: 3000, times: 1 }),
  "no ranges and no validator": () => made.one("/a.img", image, { ranges: false, etag: "" }),
};

test.for(fineRows)("%s, succeeds", { timeout: 300_000 }, async (when) => {
  const name = `fine-${fineRows.indexOf(when)}`;
  const { wish } = await passing[when]();
  await cluster.client.create(dataVolumeOf({ name, size: "16Mi", ...wish }), kinds.dataVolume);
  await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded"), 240_000);
  expect(holdsImage((await diskOf(cluster, name)) as Buffer, image)).toBe(true);
});

// What was missing is there, or what was full has room: the import goes on by itself, to a whole disk.
test("a missing Secret is made, and the import goes on", { timeout: 60_000 }, async () => {
  const { wish } = await made.one("/a.img", image);
  const name = "late-secret";
  await cluster.client.create(
    dataVolumeOf({ name, size: "16Mi", ...wish, http: { secretRef: name } }),
    kinds.dataVolume,
  );
  const stalled = (dv: DataVolume): boolean => conditionOf(dv, "Stalled")?.reason === "ObjectMissing";
  await history<DataVolume>(cluster, kinds.dataVolume, name, stalled);
  const data = { accessKeyId: "YQ==", secretKey: "Yg==" };
  const metadata = { name, namespace: "default" };
  await cluster.client.create({ apiVersion: "v1", kind: "Secret", metadata, data }, kinds.secret);
  const states = await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded"));
  expect(conditionOf(states.at(-1) as DataVolume, "Stalled")?.status).toBe("False");
  expect(states.at(-1)?.status?.transfer?.code).toBeUndefined();
});
