// What the real server fills into a new pod.
import { randomBytes } from "node:crypto";
import type { KubeObject } from "../../../api/meta.ts";
import { list, section, text } from "./fields.ts";

function fill(fields: Record<string, unknown>, defaults: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(defaults)) fields[name] ??= value;
}

const pullPolicy = (image: string): string =>
  /:latest$|^[^@:]*(?::\d+\/[^:@]*)?$/.test(image) ? "Always" : "IfNotPresent";

export function fillPod(pod: KubeObject): void {
  const spec = section(pod, "spec");
  fill(spec, {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    serviceAccountName: "default",
    schedulerName: "default-scheduler",
    enableServiceLinks: true,
    securityContext: {},
  });
  fill(spec, { serviceAccount: spec["serviceAccountName"] });
  for (const container of [...list(spec, "containers"), ...list(spec, "initContainers")]) {
    fill(container, {
      imagePullPolicy: pullPolicy(text(container, "image")),
      terminationMessagePath: "/dev/termination-log",
      terminationMessagePolicy: "File",
      resources: {},
    });
    for (const port of list(container, "ports")) fill(port, { protocol: "TCP" });
    fillRequests(section(container, "resources"));
    for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) {
      if (container[probe] === undefined) continue;
      fill(section(container, probe), {
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
      });
    }
  }
  for (const volume of list(spec, "volumes")) fillVolume(volume);
  pod["status"] = { phase: "Pending", qosClass: qosOf(list(spec, "containers")) };
}

/** A limit without a request is a request too. */
function fillRequests(resources: Record<string, unknown>): void {
  if (typeof resources["limits"] !== "object" || resources["limits"] === null) return;
  fill(section(resources, "requests"), resources["limits"] as Record<string, unknown>);
}

function fillVolume(volume: Record<string, unknown>): void {
  for (const source of ["secret", "configMap"]) {
    if (volume[source] !== undefined) fill(section(volume, source), { defaultMode: 0o644 });
  }
  if (Object.keys(volume).length === 1) volume["emptyDir"] = {};
}

function qosOf(containers: Record<string, unknown>[]): string {
  const limits = containers.map((container) => section(section(container, "resources"), "limits"));
  const requests = containers.map((container) => section(section(container, "resources"), "requests"));
  // section() makes what it reads; take the empty ones away again.
  for (const container of containers) dropEmpty(section(container, "resources"));
  if ([...limits, ...requests].every((one) => Object.keys(one).length === 0)) return "BestEffort";
  const full = limits.every((limit, i) =>
    ["cpu", "memory"].every((name) => limit[name] !== undefined && limit[name] === requests[i]?.[name]),
  );
  return full ? "Guaranteed" : "Burstable";
}

function dropEmpty(resources: Record<string, unknown>): void {
  for (const name of ["limits", "requests"]) {
    if (Object.keys(section(resources, name)).length === 0) delete resources[name];
  }
}

/** The five letters behind a generated name; no vowels, so that no words come out. */
export function randomSuffix(): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return [...randomBytes(5)].map((byte) => letters[byte % letters.length]).join("");
}
