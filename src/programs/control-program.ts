// What the programs of the control plane have in common: flags, namespace, log, and running until they are told to stop.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { ClusterAccess } from "../kube/index.ts";
import type { Log } from "../lib/log.ts";
import { runProgram } from "../lib/run-program.ts";
import { version } from "../lib/version.ts";
import { makeLog } from "../telemetry/index.ts";

/** Mounted in every pod with a service account. */
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

export interface Surroundings {
  env: NodeJS.ProcessEnv;
  /** KUBECONFIG names the cluster outside of one. */
  inCluster: boolean;
  access: ClusterAccess;
  /** Of the control plane. */
  namespace: string;
  /** `-v`, else VERBOSITY, else 1. */
  verbosity: number;
  log: Log;
  signal: AbortSignal;
}

/** Runs a program of this name until SIGTERM; `--version` only prints it. Exits 0 unless `run` throws. */
export async function runControlProgram(name: string, run: (around: Surroundings) => Promise<void>): Promise<void> {
  await runProgram(async (signal) => {
    const { values } = parseArgs({
      options: { v: { type: "string", short: "v" }, version: { type: "boolean" } },
      strict: false,
    });
    if (values.version === true) {
      process.stdout.write(`${version}\n`);
      return 0;
    }
    const { env } = process;
    const inCluster = !env.KUBECONFIG;
    const flag = typeof values.v === "string" ? values.v.replace(/^=/, "") : undefined;
    const verbosity = Number(flag ?? (env.VERBOSITY || "1"));
    if (!Number.isInteger(verbosity) || verbosity < 0)
      throw new Error("the verbosity (-v or VERBOSITY) must be a whole number");
    await run({
      env,
      inCluster,
      access: env.KUBECONFIG ? { kubeconfig: env.KUBECONFIG } : { inCluster: true },
      namespace: env.POD_NAMESPACE || (inCluster ? (await readFile(namespaceFile, "utf8")).trim() : "cdi"),
      verbosity,
      log: makeLog({ name, verbosity }),
      signal,
    });
    return 0;
  });
}

export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
