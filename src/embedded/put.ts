// Objects of embedded mode's own making: there after it, whatever an earlier run left.
import { keyOf, type KindRef, type KubeObject } from "../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../kube/index.ts";

/** Creates it, or writes `body` over what is there. */
export async function put(client: KubeClient, kind: KindRef, object: KubeObject, body: object): Promise<void> {
  await client.create(object, kind).catch(async (cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
    await client.patch({ kind, ...keyOf(object) }, body, { type: "merge" });
  });
}
