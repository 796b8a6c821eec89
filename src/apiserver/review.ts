// Asks the cluster whether a user may do something: a SubjectAccessReview.
import type { KubeObject } from "../api/meta.ts";
import type { KubeClient } from "../kube/index.ts";
import type { User } from "./front-proxy.ts";

const reviews = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
} as const;

export interface Asked {
  verb: string;
  group: string;
  version: string;
  resource: string;
  namespace: string;
}

/** @throws the client's error when the review itself fails */
export async function mayUser(
  client: KubeClient,
  user: User,
  asked: Asked,
): Promise<{ allowed: boolean; reason: string }> {
  const { apiVersion, kind } = reviews;
  const spec = { user: user.name, groups: user.groups, extra: user.extra, resourceAttributes: asked };
  const review: KubeObject = { apiVersion, kind, metadata: {}, spec };
  const { status } = (await client.create(review, reviews)) as KubeObject & {
    status?: { allowed?: boolean; reason?: string };
  };
  return { allowed: status?.allowed === true, reason: status?.reason ?? "" };
}
