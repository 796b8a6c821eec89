// Columns of pods. The status word follows kubectl's own: reasons of waiting or ended containers say more than the phase.
import type { KubeObject } from "../../../api/meta.ts";
import { ageColumn, nameColumn } from "../custom-resource.ts";
import { humanDuration } from "../human-age.ts";
import type { Column } from "../resource.ts";
import { at, list, text } from "./fields.ts";

const statuses = (pod: KubeObject): Record<string, unknown>[] => list(pod, "status", "containerStatuses");

export function podStatus(pod: KubeObject): string {
  const init = initStatus(pod);
  if (init && !pod.metadata.deletionTimestamp) return init;
  let word = text(pod, "status", "reason") || text(pod, "status", "phase");
  let running = false;
  for (const status of statuses(pod).toReversed()) {
    const waiting = text(status, "state", "waiting", "reason");
    const ended = at(status, "state", "terminated");
    if (waiting) word = waiting;
    else if (ended !== undefined) word = endedWord(ended);
    else if (status["ready"] === true && at(status, "state", "running") !== undefined) running = true;
  }
  if (word === "Completed" && running) word = "Running";
  if (pod.metadata.deletionTimestamp) return "Terminating";
  return word || "Unknown";
}

const endedWord = (ended: unknown): string => {
  const signal = Number(at(ended, "signal") ?? 0);
  return text(ended, "reason") || (signal !== 0 ? `Signal:${signal}` : `ExitCode:${text(ended, "exitCode")}`);
};

function initStatus(pod: KubeObject): string | undefined {
  const all = list(pod, "status", "initContainerStatuses");
  const done = (status: unknown): boolean => at(status, "state", "terminated", "exitCode") === 0;
  const index = all.findIndex((status) => !done(status));
  const current = all[index];
  if (!current) return undefined;
  const ended = at(current, "state", "terminated");
  if (ended !== undefined) return `Init:${endedWord(ended)}`;
  const waiting = text(current, "state", "waiting", "reason");
  if (waiting && waiting !== "PodInitializing") return `Init:${waiting}`;
  return `Init:${index}/${list(pod, "spec", "initContainers").length}`;
}

function restarts(pod: KubeObject, now: number): string {
  const count = statuses(pod).reduce((sum, status) => sum + Number(status["restartCount"] ?? 0), 0);
  const times = statuses(pod).map((status) => Date.parse(text(status, "lastState", "terminated", "finishedAt")));
  const last = Math.max(...times.filter((time) => !Number.isNaN(time)), 0);
  return count > 0 && last > 0 ? `${count} (${humanDuration(now - last)} ago)` : String(count);
}

const orNone = (value: string): string => value || "<none>";

export const podColumns: Column[] = [
  nameColumn,
  {
    name: "Ready",
    type: "string",
    cell: (pod) =>
      `${statuses(pod).filter((status) => status["ready"] === true).length}/${list(pod, "spec", "containers").length}`,
  },
  { name: "Status", type: "string", cell: podStatus },
  { name: "Restarts", type: "string", cell: restarts },
  ageColumn,
  { name: "IP", type: "string", priority: 1, cell: (pod) => orNone(text(pod, "status", "podIP")) },
  { name: "Node", type: "string", priority: 1, cell: (pod) => orNone(text(pod, "spec", "nodeName")) },
  {
    name: "Nominated Node",
    type: "string",
    priority: 1,
    cell: (pod) => orNone(text(pod, "status", "nominatedNodeName")),
  },
  { name: "Readiness Gates", type: "string", priority: 1, cell: () => "<none>" },
];
