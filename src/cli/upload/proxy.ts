// Where uploads go in, found as virtctl does, and how its certificate is checked.
import { readFile } from "node:fs/promises";
import { rootCertificates, type ConnectionOptions } from "node:tls";
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import { kinds } from "../../api/kinds.ts";
import { tusPath } from "../../contract/upload-routes.ts";
import type { KubeClient } from "../../kube/index.ts";
import { Fault } from "../../lib/faults.ts";

export interface Proxy {
  /** Of the resumable uploads. */
  readonly endpoint: string;
  readonly tls: ConnectionOptions;
}

interface ProxyFlags {
  readonly uploadproxyUrl?: string;
  readonly ca?: string;
  readonly insecure?: boolean;
}

/** @throws Fault ConfigInvalid when nobody says where it is */
export async function findProxy(client: KubeClient, { uploadproxyUrl, ca, insecure }: ProxyFlags): Promise<Proxy> {
  const config = (await client.get({ kind: kinds.cdiConfig, name: cdiConfigName })) as CdiConfig | undefined;
  const said = uploadproxyUrl ?? (config?.spec.uploadProxyURLOverride || config?.status?.uploadProxyURL);
  if (!said) throw new Fault("ConfigInvalid", "uploadproxy URL not found: name it with --uploadproxy-url");
  const url = URL.parse(/^https?:\/\//.test(said) ? said : `https://${said}`);
  if (url?.protocol !== "https:") throw new Fault("ConfigInvalid", `the upload proxy's URL ${said} is no https URL`);
  const trusted = [config?.status?.uploadProxyCA, ca === undefined ? undefined : await readFile(ca, "utf8")];
  const more = trusted.filter((pem) => pem !== undefined && pem !== "") as string[];
  return {
    endpoint: `${url.href.replace(/\/+$/, "")}${tusPath}`,
    tls: {
      rejectUnauthorized: !insecure,
      ...(more.length > 0 ? { ca: [...rootCertificates, ...more] } : {}),
    },
  };
}
