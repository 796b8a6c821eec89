// The accounts of an installation's programs and their rights, as its manifest grants them on any cluster. The programs in this
// process are held to them too: a right that is missing fails here, not first on somebody's cluster.
import { kinds } from "../api/kinds.ts";
import type { KubeClient } from "../kube/index.ts";
import { version } from "../lib/version.ts";
import { rightsManifest } from "../operator/index.ts";
import { put } from "./put.ts";

/** Rights name no image. */
const noImages = { controller: "", importer: "", apiserver: "", uploadProxy: "", uploadServer: "" };

/** Those of an earlier version are brought up to date. */
export async function grantRights(client: KubeClient, namespace: string): Promise<void> {
  const install = { namespace, version, images: noImages, pullPolicy: "IfNotPresent", verbosity: 1 } as const;
  for (const object of rightsManifest(install)) {
    const kind = Object.values(kinds).find((one) => one.kind === object.kind && one.apiVersion === object.apiVersion);
    if (!kind) throw new Error(`${object.kind ?? "an object without a kind"} is not served here`);
    const { labels } = object.metadata;
    await put(client, kind, object, { metadata: { labels }, ...("rules" in object ? { rules: object["rules"] } : {}) });
  }
}
