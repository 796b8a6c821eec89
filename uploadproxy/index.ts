// Door of the upload proxy: the public HTTPS door through which disks come in. It checks the token, finds the claim's upload
// server, and passes the bytes on.
import type { LookupFunction } from "node:net";
import { cdiConfigName, type CdiConfig } from "../src/api/cdi-config.ts";
import type { Claim, ConfigMap } from "../src/api/core.ts";
import { kinds } from "../src/api/kinds.ts";
import { bundleKey, signers } from "../src/contract/install-names.ts";
import { tlsOptionsOf, tlsProfileOf } from "../src/contract/tls-profile.ts";
import { startCache, type KubeClient } from "../src/kube/index.ts";
import type { Clock } from "../src/lib/clock.ts";
import type { Log } from "../src/lib/log.ts";
import { listenTls } from "../src/lib/tls-listener.ts";
import { handle, type ProxyWorld } from "./handle.ts";

/** PEM texts: certificate and key, as they are now. */
export interface PairInUse {
  readonly texts: readonly string[];
}

export interface UploadProxyOptions {
  client: KubeClient;
  /** Of the installation. */
  namespace: string;
  /** Name of the config map with the authorities of upload servers. @default signers.uploadServer.bundle */
  bundleName?: string | undefined;
  host: string;
  /** 0: any free one. */
  port: number;
  /** PEM: the key tokens are checked with. */
  publicKey: string;
  serving: PairInUse;
  identity: PairInUse;
  /** Names of Services, where the system's resolver does not know them. */
  lookup?: LookupFunction;
  clock: Clock;
  log: Log;
}

export interface UploadProxy {
  readonly port: number;
  /** The serving pair's texts have changed. @throws Error for texts that cannot be used */
  renew(): void;
  close(): Promise<void>;
}

/** Resolves when it serves. @throws the listener's or the client's error */
export async function startUploadProxy(options: UploadProxyOptions): Promise<UploadProxy> {
  const { client, namespace, clock, log, bundleName = signers.uploadServer.bundle } = options;
  const stop = new AbortController();
  const configs = startCache({ client, kind: kinds.cdiConfig, clock, log }, stop.signal);
  const tls = () => {
    const [cert = "", key = ""] = options.serving.texts;
    const config = configs.get({ name: cdiConfigName }) as CdiConfig | undefined;
    return { ...tlsOptionsOf(tlsProfileOf(config?.spec.tlsSecurityProfile)), cert, key };
  };
  const world: ProxyWorld = {
    publicKey: options.publicKey,
    async readClaim(within, name) {
      return (await client.get({ kind: kinds.claim, namespace: within, name })) as Claim | undefined;
    },
    async identity() {
      const map = await client.get({ kind: kinds.configMap, namespace, name: bundleName });
      const ca = (map as ConfigMap | undefined)?.data?.[bundleKey];
      if (!ca) throw new Error(`config map ${namespace}/${bundleName} has no ${bundleKey}`);
      const [certificate = "", key = ""] = options.identity.texts;
      return { certificate, key, ca };
    },
    lookup: options.lookup,
    clock,
    log,
    signal: stop.signal,
  };
  try {
    await configs.synced();
    const listener = await listenTls({
      host: options.host,
      port: options.port,
      tls: tls(),
      asksForCertificates: false,
      serve(request, response) {
        handle(world, request, response).catch((cause: unknown) => {
          log.error("Request could not be answered", { cause });
          response.destroy();
        });
      },
    });
    configs.onChange(() => {
      try {
        listener.renew(tls());
      } catch (cause) {
        log.error("Keeping the former TLS settings: the new ones cannot be used", { cause });
      }
    });
    return {
      port: listener.port,
      renew: () => listener.renew(tls()),
      async close() {
        stop.abort();
        await listener.close();
        await configs.stopped;
      },
    };
  } catch (cause) {
    stop.abort();
    throw cause;
  }
}
