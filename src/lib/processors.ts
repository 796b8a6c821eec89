// How many processors this process may use: those of the machine, or fewer under a pod's limit.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const root = "/sys/fs/cgroup";

/** @returns a fraction under a limit such as 750m: 0.75 */
export function usableProcessors(): number {
  const here = readText("/proc/self/cgroup") ?? "";
  return Math.min(
    availableParallelism(),
    quotaOf(here, (path) => readText(join(root, path))),
  );
}

/**
 * The limit that the control groups set, v2 or v1; a container sees its own group at the root.
 * @param groups text of /proc/self/cgroup
 * @param read a file of the control groups; undefined where it is none
 * @returns Infinity for no limit
 */
export function quotaOf(groups: string, read: (path: string) => string | undefined): number {
  let least = Infinity;
  for (const line of groups.split("\n")) {
    const [, controllers = "", path = ""] = line.split(":");
    if (line === "" || (controllers !== "" && !controllers.split(",").includes("cpu"))) continue;
    const folders =
      controllers === "" ? [path, "/"] : [`/cpu${path}`, `/${controllers}${path}`, "/cpu", `/${controllers}`];
    for (const folder of folders) least = Math.min(least, controllers === "" ? ofV2(read, folder) : ofV1(read, folder));
  }
  return least;
}

type Read = (path: string) => string | undefined;

function ofV2(read: Read, folder: string): number {
  const [quota, period] = (read(join(folder, "cpu.max")) ?? "").trim().split(" ");
  return ratio(quota, period);
}

const ofV1 = (read: Read, folder: string): number =>
  ratio(read(join(folder, "cpu.cfs_quota_us")), read(join(folder, "cpu.cfs_period_us")));

/** "max" and -1 are no limit. */
function ratio(quota: string | undefined, period: string | undefined): number {
  const [of, per] = [Number(quota), Number(period)];
  return of > 0 && per > 0 ? of / per : Infinity;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Another version of control groups, or none.
    return undefined;
  }
}
