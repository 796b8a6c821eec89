// Who may do what, and what one may ask about it.
import { configMap, group, namespace, thing } from "./place.ts";
import type { Row } from "./rows.ts";

const nobody = { "impersonate-user": "conformance-nobody" };
const forbidden = (ask: string, message: string, more: Partial<Row> = {}): Row => ({
  when: `nobody: ${ask.replaceAll(/\/apis\/[^ ]*\/v1\//g, "")}`,
  ask,
  headers: nobody,
  code: 403,
  reason: "Forbidden",
  message,
  ...more,
});
const cannot = (verb: string, resource: string, where: string, apiGroup = ""): string =>
  `User "conformance-nobody" cannot ${verb} resource "${resource}" in API group "${apiGroup}" ${where}`;
const here = `in the namespace "${namespace}"`;
const everywhere = "at the cluster scope";
const patching = { ...nobody, "content-type": "application/merge-patch+json" };
const review = (kind: string, spec: object, metadata: object = {}): object => ({
  apiVersion: "authorization.k8s.io/v1",
  kind,
  metadata,
  spec,
});
const authorization = "/apis/authorization.k8s.io/v1";
const ofSecrets = { verb: "get", resource: "secrets", namespace };
const role = (rules: readonly object[], more: object = {}): object => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: "$n" },
  rules,
  ...more,
});
const binding = (more: object): object => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "RoleBinding",
  metadata: { name: "$n" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "none" },
  ...more,
});
const pods = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const tokenOf = (spec: object): object => ({ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec });
const account = ["serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "$n" } }] as const;

export const accessRows: Row[] = [
  forbidden("GET pods", `pods is forbidden: ${cannot("list", "pods", here)}`, { body: { details: { kind: "pods" } } }),
  forbidden("GET pods/$n", `pods "$n" is forbidden: ${cannot("get", "pods", here)}`, {
    body: { details: { name: "$n", kind: "pods" } },
  }),
  forbidden("GET pods/$n/log", `pods "$n" is forbidden: ${cannot("get", "pods/log", here)}`),
  forbidden("GET pods?watch=1", `pods is forbidden: ${cannot("watch", "pods", here)}`),
  forbidden("GET /api/v1/pods", `pods is forbidden: ${cannot("list", "pods", everywhere)}`),
  forbidden("GET /api/v1/nodes", `nodes is forbidden: ${cannot("list", "nodes", everywhere)}`),
  forbidden("POST configmaps", `configmaps is forbidden: ${cannot("create", "configmaps", here)}`, {
    send: configMap("$n"),
  }),
  forbidden("PUT configmaps/$n", `configmaps "$n" is forbidden: ${cannot("update", "configmaps", here)}`, {
    send: configMap("$n"),
  }),
  forbidden("PATCH configmaps/$n", `configmaps "$n" is forbidden: ${cannot("patch", "configmaps", here)}`, {
    send: {},
    headers: patching,
  }),
  forbidden("DELETE configmaps/$n", `configmaps "$n" is forbidden: ${cannot("delete", "configmaps", here)}`),
  forbidden("DELETE configmaps", `configmaps is forbidden: ${cannot("deletecollection", "configmaps", here)}`),
  forbidden("GET things/$n", `things.${group} "$n" is forbidden: ${cannot("get", "things", here, group)}`, {
    body: { details: { name: "$n", group, kind: "things" } },
  }),
  forbidden(
    "PUT things/$n/status",
    `things.${group} "$n" is forbidden: ${cannot("update", "things/status", here, group)}`,
    { send: thing("$n") },
  ),
  forbidden("GET namespaces/{ns}", `namespaces "${namespace}" is forbidden: ${cannot("get", "namespaces", here)}`, {
    ask: "GET /api/v1/namespaces/{ns}",
  }),
  forbidden("GET /metrics", 'forbidden: User "conformance-nobody" cannot get path "/metrics"'),
  { when: "everybody may see the groups", ask: "GET /apis", headers: nobody, code: 200 },
  { when: "everybody may ask for the version", ask: "GET /version", headers: nobody, code: 200 },
  {
    when: "a group without a user is nobody to be",
    ask: "GET /version",
    headers: { "impersonate-group": "x" },
    code: 500,
  },
  {
    when: "may I: yes",
    ask: `POST ${authorization}/selfsubjectaccessreviews`,
    send: review("SelfSubjectAccessReview", { resourceAttributes: ofSecrets }),
    code: 201,
    body: { kind: "SelfSubjectAccessReview", status: { allowed: true } },
  },
  {
    when: "may I, as nobody: no",
    ask: `POST ${authorization}/selfsubjectaccessreviews`,
    headers: nobody,
    send: review("SelfSubjectAccessReview", { resourceAttributes: ofSecrets }),
    code: 201,
    body: { status: { allowed: false } },
  },
  {
    when: "may nobody: no",
    ask: `POST ${authorization}/subjectaccessreviews`,
    send: review("SubjectAccessReview", { user: "conformance-nobody", resourceAttributes: ofSecrets }),
    code: 201,
    body: { status: { allowed: false } },
  },
  {
    when: "may nobody reach a path: no",
    ask: `POST ${authorization}/subjectaccessreviews`,
    send: review("SubjectAccessReview", {
      user: "conformance-nobody",
      nonResourceAttributes: { verb: "get", path: "/metrics" },
    }),
    code: 201,
    body: { status: { allowed: false } },
  },
  {
    when: "may a group of masters: yes",
    ask: `POST ${authorization}/subjectaccessreviews`,
    send: review("SubjectAccessReview", { user: "x", groups: ["system:masters"], resourceAttributes: ofSecrets }),
    code: 201,
    body: { status: { allowed: true } },
  },
  {
    when: "may whom is Invalid",
    ask: `POST ${authorization}/subjectaccessreviews`,
    send: review("SubjectAccessReview", { resourceAttributes: ofSecrets }),
    code: 422,
    reason: "Invalid",
    fields: ["spec.user"],
  },
  {
    when: "may what is Invalid",
    ask: `POST ${authorization}/selfsubjectaccessreviews`,
    send: review("SelfSubjectAccessReview", {}),
    code: 422,
    reason: "Invalid",
    fields: ["spec.resourceAttributes"],
  },
  {
    when: "may two things at once is Invalid",
    ask: `POST ${authorization}/selfsubjectaccessreviews`,
    send: review("SelfSubjectAccessReview", {
      resourceAttributes: ofSecrets,
      nonResourceAttributes: { verb: "get", path: "/" },
    }),
    code: 422,
    reason: "Invalid",
    fields: ["spec.nonResourceAttributes"],
  },
  {
    when: "may, in a namespace: no",
    ask: `POST ${authorization}/namespaces/{ns}/localsubjectaccessreviews`,
    send: review(
      "LocalSubjectAccessReview",
      { user: "conformance-nobody", resourceAttributes: ofSecrets },
      { namespace },
    ),
    code: 201,
    body: { status: { allowed: false } },
  },
  {
    when: "may, in another namespace than the path's, is BadRequest",
    ask: `POST ${authorization}/namespaces/{ns}/localsubjectaccessreviews`,
    send: review(
      "LocalSubjectAccessReview",
      { user: "x", resourceAttributes: { ...ofSecrets, namespace: "other" } },
      { namespace },
    ),
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "what may I, in a namespace",
    ask: `POST ${authorization}/selfsubjectrulesreviews`,
    send: review("SelfSubjectRulesReview", { namespace }),
    code: 201,
    text: /"resourceRules":\[/,
  },
  {
    when: "what may I, nowhere, is BadRequest",
    ask: `POST ${authorization}/selfsubjectrulesreviews`,
    send: review("SelfSubjectRulesReview", {}),
    code: 400,
    reason: "BadRequest",
  },
  { when: "reviews are not listed", ask: `GET ${authorization}/subjectaccessreviews`, code: 405 },
  {
    when: "whose token: nobody's",
    ask: "POST /apis/authentication.k8s.io/v1/tokenreviews",
    send: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "none" } },
    code: 201,
    without: ["status.authenticated"],
  },
  {
    when: "whose no token is BadRequest",
    ask: "POST /apis/authentication.k8s.io/v1/tokenreviews",
    send: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: {} },
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "who am I, as another",
    ask: "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
    headers: nobody,
    send: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    code: 201,
    body: { status: { userInfo: { username: "conformance-nobody", groups: ["system:authenticated"] } } },
    before: { minor: 28, code: 404 },
  },
  {
    when: "a token for an account",
    given: [account],
    ask: "POST serviceaccounts/$n/token",
    send: tokenOf({ expirationSeconds: 600 }),
    code: 201,
    body: { kind: "TokenRequest", spec: { expirationSeconds: 600 } },
    text: /"token":"[\w-]+\.[\w-]+\.[\w-]+"/,
  },
  {
    when: "a token for too short a time is Invalid",
    given: [account],
    ask: "POST serviceaccounts/$n/token",
    send: tokenOf({ expirationSeconds: 10 }),
    code: 422,
    reason: "Invalid",
    fields: ["spec.expirationSeconds"],
  },
  {
    when: "a token for an account that is not there is NotFound",
    ask: "POST serviceaccounts/$n/token",
    send: tokenOf({}),
    code: 404,
    reason: "NotFound",
    message: 'serviceaccounts "$n" not found',
  },
  { when: "a role", ask: "POST roles", send: role([pods]), code: 201, body: { kind: "Role", rules: [pods] } },
  {
    when: "a role may have a colon in its name",
    ask: "POST roles",
    send: role([pods], { metadata: { name: "$n:a" } }),
    code: 201,
  },
  {
    when: "a role may have no slash in its name",
    ask: "POST roles",
    send: role([pods], { metadata: { name: "$n/a" } }),
    code: 422,
    reason: "Invalid",
    fields: ["metadata.name"],
  },
  {
    when: "a rule without verbs is Invalid",
    ask: "POST roles",
    send: role([{ ...pods, verbs: [] }]),
    code: 422,
    reason: "Invalid",
    fields: ["rules[0].verbs"],
  },
  {
    when: "a rule without groups is Invalid",
    ask: "POST roles",
    send: role([{ resources: ["pods"], verbs: ["get"] }]),
    code: 422,
    reason: "Invalid",
    fields: ["rules[0].apiGroups"],
  },
  {
    when: "a rule without resources is Invalid",
    ask: "POST roles",
    send: role([{ apiGroups: [""], verbs: ["get"] }]),
    code: 422,
    reason: "Invalid",
    fields: ["rules[0].resources"],
  },
  {
    when: "a role of a namespace has no paths",
    ask: "POST roles",
    send: role([{ nonResourceURLs: ["/a"], verbs: ["get"] }]),
    code: 422,
    reason: "Invalid",
    fields: ["rules[0].nonResourceURLs"],
  },
  {
    when: "a binding to another kind is Invalid",
    ask: "POST rolebindings",
    send: binding({ roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Rule", name: "x" } }),
    code: 422,
    reason: "Invalid",
    fields: ["roleRef.kind"],
  },
  {
    when: "a binding to no name is Invalid",
    ask: "POST rolebindings",
    send: binding({ roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "" } }),
    code: 422,
    reason: "Invalid",
    fields: ["roleRef.name"],
  },
  {
    when: "a subject of another kind is Invalid",
    ask: "POST rolebindings",
    send: binding({ subjects: [{ kind: "Robot", name: "x" }] }),
    code: 422,
    reason: "Invalid",
  },
  {
    when: "a binding gives subjects their group",
    ask: "POST rolebindings",
    send: binding({ subjects: [{ kind: "User", name: "x" }] }),
    code: 201,
    body: { subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "x" }] },
  },
  {
    when: "a binding keeps its role",
    given: [["rolebindings", binding({})]],
    ask: "PUT rolebindings/$n",
    send: binding({ roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "other" } }),
    code: 422,
    reason: "Invalid",
    fields: ["roleRef"],
  },
  {
    when: "the first roles are there",
    ask: "GET clusterroles/cluster-admin",
    code: 200,
    body: {
      rules: [
        { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
        { nonResourceURLs: ["*"], verbs: ["*"] },
      ],
    },
  },
  {
    when: "edit is in admin",
    ask: "GET clusterroles/edit",
    code: 200,
    body: { metadata: { labels: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" } } },
    text: /"aggregationRule"/,
  },
];
