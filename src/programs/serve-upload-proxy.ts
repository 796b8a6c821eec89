// The upload proxy as a program: its settings, its files, its client.
import { readFile } from "node:fs/promises";
import { startUploadProxy } from "../../uploadproxy/index.ts";
import { clientNodeClient } from "../kube/index.ts";
import { systemClock } from "../lib/clock.ts";
import { hostsFrom } from "../lib/http-hosts.ts";
import { lookupIn } from "../lib/lookup.ts";
import { version } from "../lib/version.ts";
import { watchFiles } from "../pki/index.ts";
import { untilAborted, type Surroundings } from "./control-program.ts";

interface Settings {
  publicKey: string;
  serving: string[];
  identity: string[];
  bundleName: string | undefined;
  host: string;
  port: number;
  hosts: string | undefined;
}

/** @throws Error naming every variable that is missing */
function readSettings(env: NodeJS.ProcessEnv): Settings {
  const missing: string[] = [];
  const text = (name: string): string => {
    const value = env[name];
    if (!value) missing.push(name);
    return value ?? "";
  };
  const settings = {
    publicKey: text("APISERVER_PUBLIC_KEY"),
    serving: [text("SERVER_CERT_FILE"), text("SERVER_KEY_FILE")],
    identity: [text("UPLOAD_CLIENT_CERT_FILE"), text("UPLOAD_CLIENT_KEY_FILE")],
    bundleName: env.UPLOAD_SERVER_CA_BUNDLE_CONFIG_MAP || undefined,
    host: env.LISTEN_ADDRESS || env.CDI_POD_IP || "0.0.0.0",
    port: Number(env.LISTEN_PORT || "8443"),
    hosts: env.CDI_HOSTS || undefined,
  };
  if (missing.length > 0) throw new Error(`not set: ${missing.join(", ")}`);
  return settings;
}

/** Until the signal. @throws Error naming every variable that is missing */
export async function serveUploadProxy({ env, access, namespace, log, signal }: Surroundings): Promise<void> {
  const settings = readSettings(env);
  const client = clientNodeClient(access);
  const trouble = (cause: unknown): void => log.error("Keeping the former certificate", { cause });
  const running: { proxy?: Awaited<ReturnType<typeof startUploadProxy>> } = {};
  const serving = await watchFiles(settings.serving, () => running.proxy?.renew(), trouble);
  const identity = await watchFiles(settings.identity, () => undefined, trouble);
  const { hosts } = settings;
  try {
    running.proxy = await startUploadProxy({
      ...settings,
      client,
      namespace,
      serving,
      identity,
      ...(hosts === undefined ? {} : { lookup: lookupIn(async () => hostsFrom(await readFile(hosts, "utf8"))) }),
      clock: systemClock,
      log,
    });
    log.info("Serving", { version, port: running.proxy.port });
    await untilAborted(signal);
    await running.proxy.close();
  } finally {
    serving.close();
    identity.close();
    client.close();
  }
}
