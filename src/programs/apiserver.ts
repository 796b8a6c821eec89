// Program: the aggregated API server. In a cluster with its service account, outside with KUBECONFIG; until SIGTERM.
import { startApiServer } from "../apiserver/index.ts";
import { clientNodeClient } from "../kube/index.ts";
import { systemClock } from "../lib/clock.ts";
import { version } from "../lib/version.ts";
import { watchFiles } from "../pki/index.ts";
import { runControlProgram, untilAborted, type Surroundings } from "./control-program.ts";

/** Where the Deployment mounts the Secret. */
const certificateFolder = "/var/run/certs/cdi-apiserver-server-cert";

async function serve({ env, access, namespace, log, signal }: Surroundings): Promise<void> {
  const client = clientNodeClient(access);
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
    await untilAborted(signal);
    await running.server.close();
  } finally {
    certificate.close();
    client.close();
  }
}

await runControlProgram("cdi-apiserver", serve);
