// Users of the server: certificates, ServiceAccount tokens, impersonation, roles, and the questions one may ask about them.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { clientNodeClient, type KubeClient } from "../../../src/kube/index.ts";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";
import { kubectlFor, kubectls } from "../../support/kubectls.ts";

const apiVersion = kinds.role.apiVersion;
let server: TestServer;
let admin: KubeClient;

const namespace = "team";
const role = (rules: object[], name: string): KubeObject => ({
  apiVersion,
  kind: "Role",
  metadata: { name, namespace },
  rules,
});
const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot", namespace } };

/** A kubeconfig whose user has this token. */
async function kubeconfigOf(token: string, name: string): Promise<string> {
  const config = parse(server.kubeconfig()) as { users: { name: string; user: object }[] };
  for (const user of config.users) user.user = { token };
  const file = join(server.dir, `${name}.yaml`);
  await writeFile(file, stringify(config), { mode: 0o600 });
  return file;
}

beforeAll(async () => {
  server = await startTestServer();
  admin = server.client;
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, kinds.namespace);
  await admin.create(account, kinds.serviceAccount);
  const readPods = [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }];
  const manageRoles = [{ apiGroups: ["rbac.authorization.k8s.io"], resources: ["*"], verbs: ["*"] }];
  await admin.create(role([...readPods], "read-pods"), kinds.role);
  const binding = {
    apiVersion,
    kind: "RoleBinding",
    metadata: { name: "robot", namespace },
    roleRef: { kind: "Role", name: "read-pods" },
    subjects: [{ kind: "ServiceAccount", name: "robot" }],
  };
  await admin.create(binding, kinds.roleBinding);
  await admin.create(role(manageRoles, "roles"), kinds.role);
});
afterAll(() => server.close());

describe.each(kubectls)("$name", ({ binary }) => {
  const modern = binary === kubectls[0]?.binary;
  const kubectl = (file?: string) => kubectlFor(binary ?? "", file ?? server.kubeconfigFile, server.dir);

  test("auth can-i answers for others as RBAC would", async ({ skip }) => {
    if (binary === undefined) skip("Debian's kubernetes-client is not unpacked; set CDI_KUBECTL_120");
    const robot = ["--as", `system:serviceaccount:${namespace}:robot`, "-n", namespace];
    expect(await kubectl().run(["auth", "can-i", "*", "*"])).toBe("yes\n");
    expect(await kubectl().run(["auth", "can-i", "list", "pods", ...robot])).toBe("yes\n");
    expect(await kubectl().fails(["auth", "can-i", "delete", "pods", ...robot])).toContain("no");
    expect(await kubectl().fails(["auth", "can-i", "list", "pods", "--as", "jane"])).toContain("no");
    expect(await kubectl().run(["auth", "can-i", "get", "/version", "--as", "jane"])).toContain("yes");
    const listed = await kubectl().run(["auth", "can-i", "--list", ...robot]);
    expect(listed).toMatch(/^pods +\[\] +\[\] +\[get list\]$/m);
    expect(listed).toMatch(/^ +\[\/version\] +\[\] +\[get\]$/m);
  });

  test("a refusal names user, verb, resource, group and namespace", async ({ skip }) => {
    if (binary === undefined) skip("Debian's kubernetes-client is not unpacked; set CDI_KUBECTL_120");
    expect(await kubectl().fails(["get", "pods", "-n", namespace, "--as", "jane"])).toContain(
      `Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "${namespace}"`,
    );
  });

  test("a requested token is its account's, and nobody's once the account is gone", async ({ skip }) => {
    if (binary === undefined || !modern) skip("this kubectl asks for no tokens");
    await kubectl().run(["create", "serviceaccount", "brief", "-n", namespace]);
    const token = (await kubectl().run(["create", "token", "brief", "-n", namespace])).trim();
    const file = await kubeconfigOf(token, "brief");
    expect(await kubectl(file).run(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])).toBe(
      `system:serviceaccount:${namespace}:brief`,
    );
    expect(await kubectl(file).fails(["get", "pods", "-n", namespace])).toContain("is forbidden: User");
    await kubectl().run(["delete", "serviceaccount", "brief", "-n", namespace]);
    expect(await kubectl(file).fails(["get", "pods", "-n", namespace])).toMatch(/Unauthorized|logged in/);
  });
});

test("who may write roles gives no more than he holds", async () => {
  const subject = { kind: "User", name: "jane" };
  const roleRef = { kind: "Role", name: "roles" };
  const metadata = { name: "jane", namespace };
  await admin.create({ apiVersion, kind: "RoleBinding", metadata, roleRef, subjects: [subject] }, kinds.roleBinding);
  const kubectl = kubectlFor(kubectls[0]?.binary ?? "", server.kubeconfigFile, server.dir);
  const more = ["create", "role", "more", "-n", namespace, "--as", "jane"];
  // The verb "escalate" lies in the star: only without it are her own rules the measure.
  await kubectl.run([...more, "--verb=get", "--resource=secrets"]);
  const verbs = ["get", "list", "create", "update", "patch"];
  await admin.update(
    {
      ...role([{ apiGroups: ["rbac.authorization.k8s.io"], resources: ["*"], verbs }], "roles"),
    },
    kinds.role,
  );
  const refused = await kubectl.fails([
    "create",
    "role",
    "most",
    "-n",
    namespace,
    "--as",
    "jane",
    "--verb=get,delete",
    "--resource=secrets",
  ]);
  expect(refused).toContain(
    'roles.rbac.authorization.k8s.io "most" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:',
  );
  expect(refused).toContain('{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}');
  const bind = ["create", "rolebinding", "b", "-n", namespace, "--as", "jane", "--user=jane"];
  expect(await kubectl.fails([...bind, "--role=read-pods"])).toContain("not currently held");
  expect(await kubectl.fails([...bind, "--role=absent"])).toContain('"absent" not found');
});

test("roles with the label are in those they aggregate to, and out again", async () => {
  const rules = [{ apiGroups: ["storage.k8s.io"], resources: ["storageclasses"], verbs: ["get"] }];
  const labels = { "rbac.authorization.k8s.io/aggregate-to-view": "true" };
  const metadata = { name: "example.com:view", labels };
  await admin.create({ apiVersion, kind: "ClusterRole", metadata, rules }, kinds.clusterRole);
  const kubectl = kubectlFor(kubectls[0]?.binary ?? "", server.kubeconfigFile, server.dir);
  await kubectl.run(["create", "clusterrolebinding", "vera", "--clusterrole=admin", "--user=vera"]);
  const can = async (): Promise<string> =>
    kubectl.run(["auth", "can-i", "get", "storageclasses", "--as", "vera"]).catch(() => "no\n");
  await expect.poll(can, { timeout: 20_000 }).toBe("yes\n");
  await admin.delete({ kind: kinds.clusterRole, name: metadata.name });
  await expect.poll(can, { timeout: 20_000 }).toBe("no\n");
});

test("a token is good for the audience it was made for only, and reviews say so", async () => {
  const client = clientNodeClient({ kubeconfig: server.kubeconfigFile });
  const kubectl = kubectlFor(kubectls[0]?.binary ?? "", server.kubeconfigFile, server.dir);
  const token = (await kubectl.run(["create", "token", "robot", "-n", namespace, "--audience=other"])).trim();
  const review = (audiences: string[]): KubeObject => ({
    apiVersion: kinds.tokenReview.apiVersion,
    kind: "TokenReview",
    metadata: {},
    spec: { token, audiences },
  });
  expect(await client.create(review(["other"]), kinds.tokenReview)).toMatchObject({
    status: {
      authenticated: true,
      audiences: ["other"],
      user: {
        username: `system:serviceaccount:${namespace}:robot`,
        groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      },
    },
  });
  const own = await client.create(review([]), kinds.tokenReview);
  expect(own).toMatchObject({ status: { user: {}, error: expect.any(String) } });
  expect(own["status"]).not.toHaveProperty("authenticated");
  const file = await kubeconfigOf(token, "other");
  expect(await kubectlFor(kubectls[0]?.binary ?? "", file, server.dir).fails(["get", "pods"])).toMatch(
    /Unauthorized|logged in/,
  );
  client.close();
});
