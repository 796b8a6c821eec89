// Program: the controllers. In a cluster with its service account and a Lease, outside with KUBECONFIG; until SIGTERM.
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { installerLabelsOf, startControllers, type ControllerOptions } from "../controllers/index.ts";
import { clientNodeClient, leadWithLease, type ClusterAccess } from "../kube/index.ts";
import { addressPolicy } from "../lib/address-policy.ts";
import { systemClock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { runProgram } from "../lib/run-program.ts";
import { version } from "../lib/version.ts";
import { makeLog } from "../telemetry/index.ts";

/** Mounted in every pod with a service account. */
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/** What the Deployment's readiness probe reads. */
const readyFile = "/tmp/ready";
const leaseName = "cdi-controller-leader-election-helper";

interface Settings {
  access: ClusterAccess;
  verbosity: number;
  options: ControllerOptions;
}

/** @throws Error naming the variable that is missing or unusable */
function readSettings(env: NodeJS.ProcessEnv, cdiNamespace: string, flag: string | undefined): Settings {
  const importerImage = env.IMPORTER_IMAGE;
  if (!importerImage) throw new Error("IMPORTER_IMAGE is not set: the image that importer pods run");
  const verbosity = Number(flag ?? (env.VERBOSITY || "1"));
  if (!Number.isInteger(verbosity) || verbosity < 0)
    throw new Error("the verbosity (-v or VERBOSITY) must be a whole number");
  // A rule that cannot be read would fail every import: say so here instead.
  addressPolicy({ inPod: true, rules: env.CDI_ADDRESS_POLICY });
  const installerLabels = installerLabelsOf({
    partOf: env.INSTALLER_PART_OF_LABEL,
    version: env.INSTALLER_VERSION_LABEL,
  });
  return {
    access: env.KUBECONFIG ? { kubeconfig: env.KUBECONFIG } : { inCluster: true },
    verbosity,
    options: {
      cdiNamespace,
      importerImage,
      ...(env.UPLOADSERVER_IMAGE ? { uploadServerImage: env.UPLOADSERVER_IMAGE } : {}),
      pullPolicy: env.PULL_POLICY || "IfNotPresent",
      verbosity,
      installerLabels,
      ...(env.CDI_ADDRESS_POLICY ? { addressRules: env.CDI_ADDRESS_POLICY } : {}),
    },
  };
}

/** Runs until the signal aborts. */
async function control(
  settings: Settings,
  client: ReturnType<typeof clientNodeClient>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const controllers = await startControllers({ client, clock: systemClock, log, options: settings.options, signal });
  log.info("Controlling", { version });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await controllers.close();
}

async function main(signal: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    options: { v: { type: "string", short: "v" }, version: { type: "boolean" } },
    strict: false,
  });
  if (values.version === true) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const inCluster = !process.env.KUBECONFIG;
  const namespace = process.env.POD_NAMESPACE || (inCluster ? (await readFile(namespaceFile, "utf8")).trim() : "cdi");
  const flag = typeof values.v === "string" ? values.v.replace(/^=/, "") : undefined;
  const settings = readSettings(process.env, namespace, flag);
  const log = makeLog({ name: "cdi-controller", verbosity: settings.verbosity });
  const client = clientNodeClient(settings.access);
  try {
    if (!inCluster) {
      await control(settings, client, log, signal);
      return 0;
    }
    await writeFile(readyFile, "");
    const lease = {
      client,
      clock: systemClock,
      log,
      namespace,
      name: leaseName,
      identity: `${hostname()}_${process.pid}`,
    };
    await leadWithLease(lease, signal, (leading) => control(settings, client, log, leading));
    return 0;
  } catch (cause) {
    if (signal.aborted) return 0;
    throw cause;
  } finally {
    if (inCluster) await rm(readyFile, { force: true });
    client.close();
  }
}

await runProgram(main);
