// Asks each registered server what it serves: the answer stands in discovery, and whether there was one in the APIService's
// condition Available.
import type { IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { kinds } from "../../../api/kinds.ts";
import type { Condition } from "../../../api/meta.ts";
import type { KubeClient } from "../../../kube/index.ts";
import { stamp } from "../../../lib/clock.ts";
import { seconds } from "../../../lib/duration.ts";
import type { KeyedCertificate } from "../../../pki/index.ts";
import { systemUser } from "../auth/user.ts";
import { connectionTo, remoteHeaders } from "./pass.ts";
import { reach, type Registration } from "./registrations.ts";
import type { World } from "../world.ts";

export interface RemoteResource {
  name: string;
  singularName?: string;
  namespaced: boolean;
  kind: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
}

export type Found = { resources: RemoteResource[] } | { reason: string; message: string };

const limitMs = seconds(5);
const answerLimit = 4 * 1024 * 1024;

/** Never throws: what went wrong is the answer. */
export async function ask(
  world: World,
  registration: Registration,
  frontProxy: KeyedCertificate,
  signal: AbortSignal,
): Promise<Found> {
  const reached = reach(world.store, registration);
  if (!("at" in reached)) return reached;
  const path = `/apis/${registration.group}/${registration.version}`;
  const options = {
    ...connectionTo(registration, reached.at, frontProxy),
    path,
    headers: { accept: "application/json", ...remoteHeaders(systemUser) },
    signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
  };
  try {
    const { status, body } = await fetchText(options);
    const shown = `https://${reached.at.host}:${reached.at.port}${path}`;
    if (status !== 200)
      return {
        reason: "FailedDiscoveryCheck",
        message: `failing or missing response from ${shown}: bad status ${status}`,
      };
    const { resources } = JSON.parse(body) as { resources?: RemoteResource[] };
    return { resources: resources ?? [] };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return { reason: "FailedDiscoveryCheck", message: `failing or missing response: ${why}` };
  }
}

function fetchText(options: RequestOptions): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = httpsRequest(options, (answer: IncomingMessage) => {
      answer.setEncoding("utf8");
      let body = "";
      answer.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > answerLimit) answer.destroy(new Error("the answer is too long"));
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}

/** Writes the condition where it says something else. */
export async function tellAvailability(
  client: KubeClient,
  { name }: Registration,
  found: Found,
  nowMs: number,
): Promise<void> {
  const ref = { kind: kinds.apiService, name };
  const object = await client.get(ref);
  if (!object) return;
  const { conditions = [] } = (object["status"] ?? {}) as { conditions?: Condition[] };
  const before = conditions.find(({ type }) => type === "Available");
  const said =
    "resources" in found
      ? { status: "True" as const, reason: "Passed", message: "all checks passed" }
      : { status: "False" as const, reason: found.reason, message: found.message };
  if (before?.status === said.status && before.reason === said.reason && before.message === said.message) return;
  const lastTransitionTime = before?.status === said.status ? before.lastTransitionTime : stamp(nowMs);
  const available: Condition = { type: "Available", ...said, ...(lastTransitionTime ? { lastTransitionTime } : {}) };
  const status = { conditions: [...conditions.filter(({ type }) => type !== "Available"), available] };
  await client.patch(ref, { status }, { type: "merge", subresource: "status" });
}
