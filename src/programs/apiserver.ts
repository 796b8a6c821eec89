// Program: the aggregated API server. In a cluster with its service account, outside with KUBECONFIG; until SIGTERM.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { startApiServer } from "../apiserver/index.ts";
import { clientNodeClient } from "../kube/index.ts";
import { systemClock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { runProgram } from "../lib/run-program.ts";
import { version } from "../lib/version.ts";
import { watchFiles } from "../pki/index.ts";
import { makeLog } from "../telemetry/index.ts";

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/** Where the Deployment mounts the Secret. */
const certificateFolder = "/var/run/certs/cdi-apiserver-server-cert";

async function serveUntil(namespace: string, log: Log, signal: AbortSignal): Promise<void> {
  const { env } = process;
  const client = clientNodeClient(env.KUBECONFIG ? { kubeconfig: env.KUBECONFIG } : { inCluster: true });
  const files = [
    env.SERVER_CERT_FILE || `${certificateFolder}/tls.crt`,
    env.SERVER_KEY_FILE || `${certificateFolder}/tls.key`,
  ];
  const running: { server?: Awaited<ReturnType<typeof startApiServer>> } = {};
  const certificate = await watchFiles(
    files,
    (texts) => running.server?.renew(texts),
    (cause) => log.error("Keeping the former certificate", { cause }),
  );
  try {
    running.server = await startApiServer({
      client,
      namespace,
      host: env.LISTEN_ADDRESS || env.CDI_POD_IP || "0.0.0.0",
      port: Number(env.LISTEN_PORT || "8443"),
      certificate,
      clock: systemClock,
      log,
    });
    log.info("Serving", { version, port: running.server.port });
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await running.server.close();
  } finally {
    certificate.close();
    client.close();
  }
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
  const flag = typeof values.v === "string" ? values.v.replace(/^=/, "") : undefined;
  const log = makeLog({ name: "cdi-apiserver", verbosity: Number(flag ?? (process.env.VERBOSITY || "1")) });
  const inCluster = !process.env.KUBECONFIG;
  const namespace = process.env.POD_NAMESPACE || (inCluster ? (await readFile(namespaceFile, "utf8")).trim() : "cdi");
  await serveUntil(namespace, log, signal);
  return 0;
}

await runProgram(main);
