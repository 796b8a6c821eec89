// Owners, namespaces, definitions that get in each other's way, roles.
import { expect } from "vitest";
import type { Api } from "./cluster.ts";
import { type Body, type Flow, fresh, slow, ask, merge, codeOf } from "./flow.ts";
import { configMap, definition, group, namespace, thing } from "./place.ts";

/** An owner and what belongs to it. */
async function family(api: Api): Promise<{ owner: string; child: string }> {
  const [owner, child] = [fresh(), fresh()];
  const { metadata } = await ask(api, 201, "POST configmaps", configMap(owner));
  const reference = {
    apiVersion: "v1",
    kind: "ConfigMap",
    name: owner,
    uid: metadata["uid"],
    blockOwnerDeletion: true,
  };
  await ask(api, 201, "POST configmaps", configMap(child, {}, { ownerReferences: [reference] }));
  return { owner, child };
}
const deleting = (policy: string): object => ({ kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: policy });

export const owners: Flow[] = [
  {
    when: "in the background an owner goes at once, its dependents follow",
    async run(api) {
      const { owner, child } = await family(api);
      await ask(api, 200, `DELETE configmaps/${owner}`, deleting("Background"));
      await ask(api, 404, `GET configmaps/${owner}`);
      await expect.poll(() => codeOf(api, `GET configmaps/${child}`), slow).toBe(404);
    },
  },
  {
    when: "in the foreground an owner waits for its dependents",
    async run(api) {
      const { owner, child } = await family(api);
      await ask(api, 200, `PATCH configmaps/${child}`, { metadata: { finalizers: ["example.com/hold"] } }, merge);
      const left = await ask(api, 200, `DELETE configmaps/${owner}`, deleting("Foreground"));
      expect(left.metadata["finalizers"]).toEqual(["foregroundDeletion"]);
      await expect
        .poll(async () => (await ask(api, 200, `GET configmaps/${child}`)).metadata["deletionTimestamp"], slow)
        .toBeDefined();
      await ask(api, 200, `GET configmaps/${owner}`);
      await ask(api, 200, `PATCH configmaps/${child}`, { metadata: { finalizers: null } }, merge);
      await expect.poll(() => codeOf(api, `GET configmaps/${owner}`), slow).toBe(404);
    },
  },
  {
    when: "an owner that orphans leaves its dependents without it",
    async run(api) {
      const { owner, child } = await family(api);
      await ask(api, 200, `DELETE configmaps/${owner}`, deleting("Orphan"));
      await expect.poll(() => codeOf(api, `GET configmaps/${owner}`), slow).toBe(404);
      const left = await ask(api, 200, `GET configmaps/${child}`);
      expect(left.metadata).not.toHaveProperty("ownerReferences");
    },
  },
];

export const namespaces: Flow[] = [
  {
    when: "a namespace is Active, labelled with its name, and held by kubernetes",
    async run(api) {
      const one = await ask(api, 201, "POST namespaces?dryRun=All", {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: fresh() },
      });
      expect(one).toMatchObject({ spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } });
      expect(one.metadata["labels"]).toEqual({ "kubernetes.io/metadata.name": one.metadata["name"] });
    },
  },
  {
    when: "a namespace under deletion takes nothing new, says what holds it, and goes with the last of it",
    async run(api) {
      const name = `${namespace}-${fresh()}`;
      const place = `/api/v1/namespaces/${name}/configmaps`;
      await ask(api, 201, "POST namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      await ask(api, 201, `POST ${place}`, configMap("plain"));
      await ask(api, 201, `POST ${place}`, configMap("held", {}, { finalizers: ["example.com/hold"] }));
      const marked = await ask(api, 200, `DELETE namespaces/${name}`);
      expect(marked).toMatchObject({ kind: "Namespace", status: { phase: "Terminating" } });
      const refused = await ask(api, 403, `POST ${place}`, configMap("late"));
      expect(refused).toMatchObject({
        reason: "Forbidden",
        message: `configmaps "late" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
        details: { causes: [{ reason: "NamespaceTerminating", field: "metadata.namespace" }] },
      });
      await expect.poll(() => codeOf(api, `GET ${place}/plain`), slow).toBe(404);
      const conditions = async (): Promise<unknown[]> => {
        const { status } = (await ask(api, 200, `GET namespaces/${name}`)) as Body & {
          status: { conditions?: Body[] };
        };
        return (status.conditions ?? []).flatMap((one) =>
          one["status"] === "True" ? [`${String(one["type"])} ${String(one["reason"])}`] : [],
        );
      };
      await expect
        .poll(conditions, slow)
        .toEqual(
          expect.arrayContaining([
            "NamespaceContentRemaining SomeResourcesRemain",
            "NamespaceFinalizersRemaining SomeFinalizersRemain",
          ]),
        );
      await ask(api, 200, `PATCH ${place}/held`, { metadata: { finalizers: null } }, merge);
      await expect.poll(() => codeOf(api, `GET namespaces/${name}`), slow).toBe(404);
    },
  },
  {
    when: "a namespace's finalizers go through a part of their own",
    async run(api) {
      const name = `${namespace}-${fresh()}`;
      const made = await ask(api, 201, "POST namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      const finalized = { ...made, spec: { finalizers: ["kubernetes", "example.com/hold"] } };
      const kept = await ask(api, 200, `PUT namespaces/${name}`, { ...finalized, metadata: { name } });
      expect(kept).toMatchObject({ spec: { finalizers: ["kubernetes"] } });
      const added = await ask(api, 200, `PUT namespaces/${name}/finalize`, { ...finalized, metadata: { name } });
      expect(added).toMatchObject({ spec: { finalizers: ["kubernetes", "example.com/hold"] } });
      await ask(api, 200, `DELETE namespaces/${name}`);
      const hasOnly = async (): Promise<unknown> =>
        ((await ask(api, 200, `GET namespaces/${name}`))["spec"] as Body)["finalizers"];
      await expect.poll(hasOnly, slow).toEqual(["example.com/hold"]);
      await ask(api, 200, `PUT namespaces/${name}/finalize`, { ...made, spec: { finalizers: [] }, metadata: { name } });
      await expect.poll(() => codeOf(api, `GET namespaces/${name}`), slow).toBe(404);
    },
  },
  {
    when: "a namespace comes with an account and the authority's certificate",
    async run(api) {
      await expect.poll(() => codeOf(api, "GET serviceaccounts/default"), slow).toBe(200);
      await expect.poll(() => codeOf(api, "GET configmaps/kube-root-ca.crt"), slow).toBe(200);
      const map = await ask(api, 200, "GET configmaps/kube-root-ca.crt");
      expect((map["data"] as Record<string, string>)["ca.crt"]).toContain("BEGIN CERTIFICATE");
    },
  },
];

const conditionsOf = async (api: Api, name: string): Promise<Record<string, string>> => {
  const { status } = (await ask(api, 200, `GET crds/${name}`)) as Body & { status?: { conditions?: Body[] } };
  const rows = (status?.conditions ?? []).map((one) => [
    one["type"],
    `${String(one["status"])} ${String(one["reason"])}`,
  ]);
  return Object.fromEntries(rows) as Record<string, string>;
};

export const definitions: Flow[] = [
  {
    when: "a definition whose kind is taken is not served",
    async run(api) {
      const name = `copies.${group}`;
      await ask(api, 201, "POST crds", definition("copies", "Thing", "Namespaced", { singular: "copy" }));
      await expect
        .poll(() => conditionsOf(api, name), slow)
        .toMatchObject({
          NamesAccepted: expect.stringMatching(/^False /),
          Established: expect.stringMatching(/^False /),
        });
      await ask(api, 404, `GET /apis/${group}/v1/namespaces/${namespace}/copies`);
      await ask(api, 200, `DELETE crds/${name}`);
      await expect.poll(() => codeOf(api, `GET crds/${name}`), slow).toBe(404);
    },
  },
  {
    when: "a definition takes its objects along",
    async run(api) {
      const [name, place] = [`brief.${group}`, `/apis/${group}/v1/namespaces/${namespace}/brief`];
      await ask(api, 201, "POST crds", definition("brief", "Brief", "Namespaced"));
      await expect.poll(() => codeOf(api, `GET ${place}`), slow).toBe(200);
      await ask(api, 201, `POST ${place}`, { apiVersion: `${group}/v1`, kind: "Brief", metadata: { name: "one" } });
      await ask(api, 200, `DELETE crds/${name}`);
      await expect.poll(() => codeOf(api, `GET crds/${name}`), slow).toBe(404);
      await expect.poll(() => codeOf(api, `GET ${place}`), slow).toBe(404);
    },
  },
  {
    when: "OpenAPI v3 describes a custom kind",
    async run(api) {
      const schemas = async (): Promise<unknown> => {
        const { body } = await api.send({ method: "GET", path: `/openapi/v3/apis/${group}/v1` });
        return (body?.["components"] as { schemas?: object } | undefined)?.schemas ?? {};
      };
      const name = `${group.split(".").toReversed().join(".")}.v1.Thing`;
      await expect.poll(schemas, slow).toHaveProperty([name, "properties", "spec", "properties", "size", "minimum"], 1);
    },
  },
];

const jane = { "impersonate-user": "conformance-jane" };
const rbac = (kind: string, name: string, body: object): object => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  metadata: { name },
  ...body,
});
const bound = (name: string): object =>
  rbac("RoleBinding", name, {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "conformance-jane" }],
  });

export const roles: Flow[] = [
  {
    when: "a role lets its subjects do what it says, and no more, until it is gone",
    async run(api) {
      const [name, other] = [fresh(), fresh()];
      const rules = [
        { apiGroups: [""], resources: ["configmaps"], resourceNames: [name], verbs: ["get"] },
        { apiGroups: [group], resources: ["things/status"], verbs: ["get"] },
      ];
      for (const one of [name, other]) await ask(api, 201, "POST configmaps", configMap(one));
      await ask(api, 201, "POST things", thing(name));
      await ask(api, 201, "POST roles", rbac("Role", name, { rules }));
      await ask(api, 201, "POST rolebindings", bound(name));
      await expect.poll(() => codeOf(api, `GET configmaps/${name}`, jane), slow).toBe(200);
      expect(await codeOf(api, `GET configmaps/${other}`, jane)).toBe(403);
      expect(await codeOf(api, `GET configmaps?fieldSelector=metadata.name%3D${name}`, jane)).toBe(403);
      expect(await codeOf(api, `GET things/${name}/status`, jane)).toBe(200);
      expect(await codeOf(api, `GET things/${name}`, jane)).toBe(403);
      await ask(api, 200, `DELETE rolebindings/${name}`);
      await expect.poll(() => codeOf(api, `GET configmaps/${name}`, jane), slow).toBe(403);
    },
  },
  {
    when: "who may write roles gives no more than he holds",
    async run(api) {
      const [name, more] = [fresh(), fresh()];
      const verbs = ["get", "create"];
      const rules = [{ apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs }];
      await ask(api, 201, "POST roles", rbac("Role", name, { rules }));
      await ask(api, 201, "POST rolebindings", bound(name));
      await expect.poll(() => codeOf(api, `GET roles/${name}`, jane), slow).toBe(200);
      const wanted = rbac("Role", more, { rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }] });
      const refused = await ask(api, 403, "POST roles", wanted, jane);
      expect(refused["message"]).toBe(
        `roles.rbac.authorization.k8s.io "${more}" is forbidden: user "conformance-jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`,
      );
      await ask(api, 201, "POST roles", rbac("Role", more, { rules }), jane);
      await ask(
        api,
        201,
        "POST rolebindings",
        rbac("RoleBinding", more, { roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: more } }),
        jane,
      );
      await ask(
        api,
        403,
        "POST rolebindings",
        rbac("RoleBinding", `${more}-b`, {
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
        }),
        jane,
      );
    },
  },
  {
    when: "an account's token is the account",
    async run(api) {
      const name = fresh();
      await ask(api, 201, "POST serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name } });
      const request = {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 600 },
      };
      const { status } = (await ask(api, 201, `POST serviceaccounts/${name}/token`, request)) as Body & {
        status: { token: string };
      };
      const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: status.token } };
      const path = "POST /apis/authentication.k8s.io/v1/tokenreviews";
      const username = `system:serviceaccount:${namespace}:${name}`;
      const groups = expect.arrayContaining([
        "system:serviceaccounts",
        `system:serviceaccounts:${namespace}`,
      ]) as unknown;
      expect(await ask(api, 201, path, review)).toMatchObject({
        status: { authenticated: true, user: { username, groups } },
      });
      await ask(api, 200, `DELETE serviceaccounts/${name}`);
      await expect
        .poll(async () => (await ask(api, 201, path, review))["status"], slow)
        .not.toHaveProperty("authenticated");
    },
  },
];
