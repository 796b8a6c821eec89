// Door of the aggregated API server: the upload token API, served over HTTPS to the cluster's own API server.
import { cdiConfigName, type CdiConfig } from "../api/cdi-config.ts";
import type { ConfigMap } from "../api/core.ts";
import { kinds } from "../api/kinds.ts";
import { tlsOptionsOf, tlsProfileOf } from "../contract/tls-profile.ts";
import { apiServerIssuer, shortTokenMs, uploadClaims } from "../contract/token.ts";
import { startCache, type KubeClient } from "../kube/index.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { listenTls } from "../lib/tls-listener.ts";
import { signToken } from "../pki/index.ts";
import { frontProxyConfigMap, frontProxyFrom, type FrontProxy } from "./front-proxy.ts";
import { mayUser } from "./review.ts";
import { serve } from "./serve.ts";
import { signingKeyIn } from "./signing-key.ts";
import type { TokenDoor } from "./uploadtoken/handle.ts";

export { signingKeyIn } from "./signing-key.ts";

export interface ApiServerOptions {
  client: KubeClient;
  /** Of the installation: the signing key is kept there. */
  namespace: string;
  host: string;
  /** 0: any free one. */
  port: number;
  /** PEM texts: certificate, key. */
  certificate: { readonly texts: readonly string[] };
  clock: Clock;
  log: Log;
}

export interface ApiServer {
  readonly port: number;
  /** The certificate's texts have changed. @throws Error for texts that cannot be used; the former stay in use */
  renew(texts: readonly string[]): void;
  close(): Promise<void>;
}

/** Resolves when it serves. @throws the listener's or the client's error */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { client, namespace, clock, log } = options;
  const key = await signingKeyIn(client, namespace);
  const stop = new AbortController();
  const configs = startCache({ client, kind: kinds.cdiConfig, clock, log }, stop.signal);
  const { namespace: within, name } = frontProxyConfigMap;
  const fieldSelector = `metadata.name=${name}`;
  const maps = startCache({ client, kind: kinds.configMap, namespace: within, fieldSelector, clock, log }, stop.signal);
  try {
    await Promise.all([configs.synced(), maps.synced()]);
    const proxy = (): FrontProxy => frontProxyFrom(maps.get({ namespace: within, name }) as ConfigMap | undefined);
    let frontProxy = proxy();
    let texts = options.certificate.texts;
    const tls = () => {
      const [cert = "", certKey = ""] = texts;
      const config = configs.get({ name: cdiConfigName }) as CdiConfig | undefined;
      const profile = tlsOptionsOf(tlsProfileOf(config?.spec.tlsSecurityProfile));
      return { ...profile, cert, key: certKey, ...(frontProxy.clientCa ? { ca: frontProxy.clientCa } : {}) };
    };
    const door: TokenDoor = {
      may: (user, asked) => mayUser(client, user, asked),
      sign: (ns, claim) =>
        signToken(uploadClaims(ns, claim), {
          privateKey: key.privateKey,
          issuer: apiServerIssuer,
          nowMs: clock.now(),
          lifetimeMs: shortTokenMs,
        }),
    };
    const listener = await listenTls({
      host: options.host,
      port: options.port,
      tls: tls(),
      asksForCertificates: true,
      serve(request, response) {
        serve({ door, frontProxy: () => frontProxy, log }, request, response).catch((cause: unknown) => {
          log.debug("Request ended early", { cause });
          response.destroy();
        });
      },
    });
    const renewed = (): void => {
      try {
        frontProxy = proxy();
        listener.renew(tls());
      } catch (cause) {
        log.error("Keeping the former TLS settings: the new ones cannot be used", { cause });
      }
    };
    configs.onChange(renewed);
    maps.onChange(renewed);
    return {
      port: listener.port,
      renew(now) {
        const before = texts;
        texts = now;
        try {
          listener.renew(tls());
        } catch (cause) {
          texts = before;
          throw cause;
        }
      },
      async close() {
        stop.abort();
        await listener.close();
        await Promise.all([configs.stopped, maps.stopped]);
      },
    };
  } catch (cause) {
    stop.abort();
    throw cause;
  }
}
