// Memory groups over folders that stand in for the two versions of cgroups; the real thing is in test/e2e/fault-limits.test.ts.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openMemoryGroups } from "../../../../src/embedded/pods/memory-groups.ts";
import { startTimeOf } from "../../../../src/embedded/pods/processes.ts";
import { silentLog } from "../../../../src/lib/log.ts";
import { makeFolder } from "../../../support/loop.ts";

const inside = async (dir: string): Promise<string> => {
  const [own = ""] = await readdir(dir);
  const [group = ""] = (await readdir(join(dir, own), { withFileTypes: true }))
    .filter((one) => one.isDirectory())
    .map((one) => one.name);
  return join(dir, own, group);
};

test.each([
  { version: 1, files: { "memory.limit_in_bytes": "1000" }, kills: "memory.oom_control" },
  { version: 2, files: { "memory.max": "1000", "memory.oom.group": "1" }, kills: "memory.events" },
] as const)("version $version: the limit is written, and a kill is read", async ({ version, files, kills }) => {
  const dir = await makeFolder();
  const groups = await openMemoryGroups({ log: silentLog, place: { dir, version } });
  const group = await groups.make("pod-importer", 1000);
  const path = await inside(dir);
  expect(group?.joinFile).toBe(join(path, "cgroup.procs"));
  for (const [name, text] of Object.entries(files)) expect(await readFile(join(path, name), "utf8")).toBe(text);
  await writeFile(join(path, kills), "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  expect(await group?.wasKilled()).toBe(false);
  await writeFile(join(path, kills), "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
  expect(await group?.wasKilled()).toBe(true);
});

test("groups of processes that are no more are removed at the next start, others are left", async () => {
  const dir = await makeFolder();
  const startTime = await startTimeOf(process.pid);
  const kept = [`cdi-embedded-${process.pid}-${startTime}-1`, "somebody-else", "cdi-embedded-notes"];
  const gone = [`cdi-embedded-${process.pid}-1-1`, "cdi-embedded-99999999-5-1"];
  for (const name of [...kept, ...gone]) await mkdir(join(dir, name, "inner"), { recursive: true });
  await openMemoryGroups({ log: silentLog, place: { dir, version: 1 } });
  expect((await readdir(dir)).toSorted()).toEqual(kept.toSorted());
});

test("where no group can be made, the container runs without, and the log says so once", async () => {
  const said: string[] = [];
  const log = { ...silentLog, info: (message: string) => void said.push(message) };
  const groups = await openMemoryGroups({ log, place: { dir: "/proc/self/status", version: 1 } });
  expect(await groups.make("a", 1000)).toBeUndefined();
  expect(await groups.make("b", 1000)).toBeUndefined();
  expect(said).toEqual(["Pods run without memory limits: no memory cgroup can be made here"]);
});
