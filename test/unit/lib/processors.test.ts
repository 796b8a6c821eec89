// What a process may use of the processors, from the files of either version of control groups.
import { expect, test } from "vitest";
import { quotaOf, usableProcessors } from "../../../src/lib/processors.ts";

const podV1 = "/kubepods/pod1/abc";
test.each<{ when: string; groups: string; files: Record<string, string>; quota: number }>([
  { when: "v2, in a container", groups: "0::/\n", files: { "/cpu.max": "75000 100000\n" }, quota: 0.75 },
  { when: "v2, without a limit", groups: "0::/\n", files: { "/cpu.max": "max 100000\n" }, quota: Infinity },
  { when: "v2, in a group", groups: "0::/a/b\n", files: { "/a/b/cpu.max": "150000 100000\n" }, quota: 1.5 },
  {
    when: "v1, in a container that sees its own group at the root",
    groups: `5:cpuacct,cpu:${podV1}\n4:memory:${podV1}\n`,
    files: { "/cpu/cpu.cfs_quota_us": "75000\n", "/cpu/cpu.cfs_period_us": "100000\n" },
    quota: 0.75,
  },
  {
    when: "v1, without a limit",
    groups: "1:cpu:/x\n",
    files: { "/cpu/x/cpu.cfs_quota_us": "-1\n", "/cpu/x/cpu.cfs_period_us": "100000\n" },
    quota: Infinity,
  },
  {
    when: "v1 beside an empty v2",
    groups: "1:cpu:/x\n0::/\n",
    files: { "/cpu/x/cpu.cfs_quota_us": "200000\n", "/cpu/x/cpu.cfs_period_us": "100000\n" },
    quota: 2,
  },
  { when: "no control groups", groups: "", files: {}, quota: Infinity },
])("$when", ({ groups, files, quota }) => {
  expect(quotaOf(groups, (path) => files[path])).toBe(quota);
});

test("here there is something to be had", () => {
  expect(usableProcessors()).toBeGreaterThan(0);
});
