// Kinds that are only ever asked: who am I, may I, may they, is this token good. Nothing of them is stored.
import type { KubeObject } from "../../../api/meta.ts";
import { stamp } from "../../../lib/clock.ts";
import { at, list, strings, text } from "../builtins/fields.ts";
import { badRequest, invalid } from "../errors.ts";
import { groupResource, type FieldError, type Resource } from "../resource.ts";
import { isRecord } from "../schema/structural.ts";
import type { World } from "../world.ts";
import { ownAudiences, type AccountTokens } from "./account-tokens.ts";
import { decide, rulesHeld } from "./authorize.ts";
import type { Attributes } from "./attributes.ts";
import { withAuthenticated } from "./authenticate.ts";
import type { UserInfo } from "./user.ts";

export interface Asked {
  readonly world: Pick<World, "store" | "clock">;
  readonly tokens: AccountTokens;
  /** Who asks. */
  readonly user: UserInfo;
  readonly resource: Resource;
  readonly namespace?: string | undefined;
  /** The review as sent. */
  readonly draft: KubeObject;
}
type Review = (asked: Asked) => object | Promise<object>;

const access = ({ world }: Asked, user: UserInfo, spec: unknown): object => {
  const { allowed, reason } = decide(world, user, attributesIn(spec));
  return { spec, status: { allowed, ...(reason === "" ? {} : { reason }) } };
};

function attributesIn(spec: unknown): Attributes {
  const path = at(spec, "nonResourceAttributes");
  if (isRecord(path)) return { verb: text(path, "verb"), path: text(path, "path") };
  const word = (name: string): string => text(spec, "resourceAttributes", name);
  const [verb, group, version, resource] = [word("verb"), word("group"), word("version"), word("resource")];
  return {
    verb,
    group,
    version,
    resource,
    subresource: word("subresource"),
    namespace: word("namespace"),
    name: word("name"),
  };
}

const wrong = (field: string, value: unknown, why: string): FieldError => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value ?? null)}: ${why}`,
});

/** @throws ApiError 422 */
function checkAccess({ draft, resource }: Asked, ofOthers: boolean): void {
  const spec = draft["spec"];
  const [ofResource, ofPath] = [at(spec, "resourceAttributes"), at(spec, "nonResourceAttributes")];
  const errors = [
    ...(isRecord(ofResource) && isRecord(ofPath)
      ? [wrong("spec.nonResourceAttributes", ofPath, "cannot be specified in combination with resourceAttributes")]
      : []),
    ...(isRecord(ofResource) || isRecord(ofPath)
      ? []
      : [
          wrong(
            "spec.resourceAttributes",
            undefined,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
          ),
        ]),
    ...(ofOthers && text(spec, "user") === "" && strings(spec, "groups").length === 0
      ? [wrong("spec.user", "", "at least one of user or group must be specified")]
      : []),
  ];
  if (errors.length > 0) throw invalid(resource, "", errors);
}

/** The user that a review speaks of. */
function subjectIn(spec: unknown): UserInfo {
  const extra = at(spec, "extra");
  const uid = text(spec, "uid");
  return {
    username: text(spec, "user"),
    groups: strings(spec, "groups"),
    ...(uid ? { uid } : {}),
    ...(isRecord(extra) ? { extra: extra as Record<string, string[]> } : {}),
  };
}

const ofOthers: Review = (asked) => {
  checkAccess(asked, true);
  return access(asked, subjectIn(asked.draft["spec"]), asked.draft["spec"]);
};

const inNamespace: Review = (asked) => {
  const { draft, namespace = "" } = asked;
  checkAccess(asked, true);
  if (text(draft, "spec", "resourceAttributes", "namespace") !== namespace)
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
  return ofOthers(asked);
};

const rulesReview: Review = ({ world, user, draft }) => {
  const namespace = text(draft, "spec", "namespace");
  if (namespace === "") throw badRequest("no namespace on request");
  const rules = rulesHeld(world, user, namespace);
  const resourceRules = rules.flatMap(({ verbs, apiGroups, resources, resourceNames }) =>
    (resources ?? []).length > 0 ? [{ verbs, apiGroups, resources, resourceNames }] : [],
  );
  const nonResourceRules = rules.flatMap(({ verbs, nonResourceURLs }) =>
    (nonResourceURLs ?? []).length > 0 ? [{ verbs, nonResourceURLs }] : [],
  );
  return { spec: {}, status: { resourceRules, nonResourceRules, incomplete: false } };
};

const tokenReview: Review = async ({ tokens, draft, resource }) => {
  const token = text(draft, "spec", "token");
  if (token === "") throw badRequest("token is required for TokenReview in authentication");
  if (list({ metadata: [draft.metadata] }, "metadata").some((metadata) => metadata["name"] !== undefined))
    throw invalid(resource, draft.metadata.name ?? "", [wrong("metadata", draft.metadata, "must be empty")]);
  const wanted = strings(draft, "spec", "audiences");
  const checked = await tokens.check(token, wanted.length > 0 ? wanted : ownAudiences);
  const status = checked
    ? { authenticated: true, user: withAuthenticated(checked.user), audiences: checked.audiences }
    : { user: {}, error: "invalid bearer token" };
  return { spec: draft["spec"], status };
};

const whoAmI: Review = ({ user, world }) => ({
  metadata: { creationTimestamp: stamp(world.clock.now()) },
  status: { userInfo: user },
});

const reviews: Readonly<Record<string, Review>> = {
  "subjectaccessreviews.authorization.k8s.io": ofOthers,
  "localsubjectaccessreviews.authorization.k8s.io": inNamespace,
  "selfsubjectaccessreviews.authorization.k8s.io": (asked) => {
    checkAccess(asked, false);
    return access(asked, asked.user, asked.draft["spec"]);
  },
  "selfsubjectrulesreviews.authorization.k8s.io": rulesReview,
  "selfsubjectreviews.authentication.k8s.io": whoAmI,
  "tokenreviews.authentication.k8s.io": tokenReview,
};

/** @returns undefined for a kind that is stored. @throws ApiError 400, 422 for a review that asks nothing */
export function reviewOf(asked: Asked): Promise<object> | undefined {
  const review = reviews[groupResource(asked.resource)];
  if (!review) return undefined;
  const { apiVersion, kind } = asked.resource;
  const metadata = { creationTimestamp: null, ...(asked.namespace ? { namespace: asked.namespace } : {}) };
  return Promise.resolve(review(asked)).then((answer) => ({ kind, apiVersion, metadata, ...answer }));
}
