// Readiness probes: HTTP and TCP, as the kubelet asks them. A container that has not been ready yet is asked much more often than
// its probe says, so that nobody waits on this machine for a period that is meant for a cluster.
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { Clock } from "../../lib/clock.ts";
import type { Container, Probe } from "./pod-types.ts";

/** Until the first success, ms. */
const eagerMs = 100;

/** Probes of other kinds (exec, grpc) are not asked yet: their containers are ready when they run. */
export const isAsked = (probe: Probe | undefined): probe is Probe =>
  probe?.httpGet !== undefined || probe?.tcpSocket !== undefined;

export interface Probing {
  probe: Probe;
  container: Container;
  podIp: string;
  clock: Clock;
  /** Aborts when the container has ended. */
  signal: AbortSignal;
  onChange: (ready: boolean) => void;
}

/** Asks until the signal aborts; tells each change, from "not ready". */
export async function probeReadiness({ probe, container, podIp, clock, signal, onChange }: Probing): Promise<void> {
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  let ready = false;
  let failures = 0;
  let eager = true;
  while (!signal.aborted) {
    const passed = await ask(probe, container, podIp, signal);
    if (signal.aborted) return;
    failures = passed ? 0 : failures + 1;
    const now: boolean = passed || (ready && failures < (probe.failureThreshold ?? 3));
    eager &&= !passed;
    if (now !== ready) onChange((ready = now));
    await clock.sleep(eager ? Math.min(eagerMs, periodMs) : periodMs, signal).catch((cause: unknown) => {
      if (!signal.aborted) throw cause;
    });
  }
}

async function ask(probe: Probe, container: Container, podIp: string, signal: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout((probe.timeoutSeconds ?? 1) * 1000)]);
  const { httpGet, tcpSocket } = probe;
  const port = portOf(httpGet?.port ?? tcpSocket?.port, container);
  if (port === undefined) return false;
  const host = httpGet?.host || tcpSocket?.host || podIp;
  return httpGet ? askHttp(httpGet, host, port, limit) : askTcp(host, port, limit);
}

const portOf = (port: number | string | undefined, { ports = [] }: Container): number | undefined =>
  typeof port === "string" && Number.isNaN(Number(port))
    ? ports.find(({ name }) => name === port)?.containerPort
    : Number(port);

/** Any status from 200 to 399; certificates are not checked, as by the kubelet. */
function askHttp(
  { scheme, path = "/" }: NonNullable<Probe["httpGet"]>,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, path, signal, agent: false, headers: { "user-agent": "kube-probe" } };
    const take = (answer: { statusCode?: number | undefined; resume(): void }): void => {
      answer.resume();
      const status = answer.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    };
    const call =
      scheme === "HTTPS" ? httpsRequest({ ...options, rejectUnauthorized: false }, take) : httpRequest(options, take);
    call.on("error", () => resolve(false));
    call.end();
  });
}

function askTcp(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
