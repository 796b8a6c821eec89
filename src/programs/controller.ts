// Program: the controllers. In a cluster with its service account and a Lease, outside with KUBECONFIG; until SIGTERM.
import { rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { installerLabelsOf, startControllers, type ControllerOptions } from "../controllers/index.ts";
import { clientNodeClient, leadWithLease } from "../kube/index.ts";
import { addressPolicy } from "../lib/address-policy.ts";
import { systemClock } from "../lib/clock.ts";
import { version } from "../lib/version.ts";
import { runControlProgram, untilAborted, type Surroundings } from "./control-program.ts";

/** What the Deployment's readiness probe reads. */
const readyFile = "/tmp/ready";
const leaseName = "cdi-controller-leader-election-helper";

/** @throws Error naming the variable that is missing, Fault ConfigInvalid for address rules that cannot be read */
function optionsFrom({ env, namespace, verbosity }: Surroundings): ControllerOptions {
  const importerImage = env.IMPORTER_IMAGE;
  if (!importerImage) throw new Error("IMPORTER_IMAGE is not set: the image that importer pods run");
  // A rule that cannot be read would fail every import: say so here instead.
  addressPolicy({ inPod: true, rules: env.CDI_ADDRESS_POLICY });
  return {
    cdiNamespace: namespace,
    importerImage,
    ...(env.UPLOADSERVER_IMAGE ? { uploadServerImage: env.UPLOADSERVER_IMAGE } : {}),
    pullPolicy: env.PULL_POLICY || "IfNotPresent",
    verbosity,
    installerLabels: installerLabelsOf({
      partOf: env.INSTALLER_PART_OF_LABEL,
      version: env.INSTALLER_VERSION_LABEL,
    }),
    ...(env.CDI_ADDRESS_POLICY ? { addressRules: env.CDI_ADDRESS_POLICY } : {}),
  };
}

async function control(around: Surroundings): Promise<void> {
  const { access, inCluster, namespace, log, signal } = around;
  const options = optionsFrom(around);
  const client = clientNodeClient(access);
  /** Runs until the signal aborts. */
  const lead = async (leading: AbortSignal): Promise<void> => {
    const controllers = await startControllers({ client, clock: systemClock, log, options, signal: leading });
    log.info("Controlling", { version });
    await untilAborted(leading);
    await controllers.close();
  };
  try {
    if (!inCluster) return await lead(signal);
    await writeFile(readyFile, "");
    const identity = `${hostname()}_${process.pid}`;
    await leadWithLease({ client, clock: systemClock, log, namespace, name: leaseName, identity }, signal, lead);
  } catch (cause) {
    if (!signal.aborted) throw cause;
  } finally {
    if (inCluster) await rm(readyFile, { force: true });
    client.close();
  }
}

await runControlProgram("cdi-controller", control);
