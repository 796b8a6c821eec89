// The accounts of an installation's programs and their rights, as its manifest grants them on any cluster. The programs in this
// process are held to them too: a right that is missing fails here, not first on somebody's cluster.
import { kinds } from "../api/kinds.ts";
import { keyOf, type KindRef, type KubeObject } from "../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../kube/index.ts";
import { version } from "../lib/version.ts";
import { rightsManifest } from "../operator/index.ts";

const kindsOfRights: readonly KindRef[] = [
  kinds.serviceAccount,
  kinds.clusterRole,
  kinds.clusterRoleBinding,
  kinds.role,
  kinds.roleBinding,
];
/** Rights name no image. */
const noImages = { controller: "", importer: "", apiserver: "", uploadProxy: "", uploadServer: "" };

/** Creates them; those of an earlier version are brought up to date. */
export async function grantRights(client: KubeClient, namespace: string): Promise<void> {
  const install = { namespace, version, images: noImages, pullPolicy: "IfNotPresent", verbosity: 1 } as const;
  for (const object of rightsManifest(install)) {
    const kind = kindsOfRights.find((one) => one.kind === object.kind);
    if (!kind) throw new Error(`${object.kind ?? "an object without a kind"} is no kind of rights`);
    await put(client, kind, object);
  }
}

async function put(client: KubeClient, kind: KindRef, object: KubeObject): Promise<void> {
  await client.create(object, kind).catch(async (cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
    const { labels } = object.metadata;
    const body = { metadata: { labels }, ...("rules" in object ? { rules: object["rules"] } : {}) };
    await client.patch({ kind, ...keyOf(object) }, body, { type: "merge" });
  });
}
