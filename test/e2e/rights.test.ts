// Who may do what on an installation: its roles for people join the cluster's own admin, edit and view, and its programs hold
// only the rights of its manifest (in embedded mode, too: everything else of test/e2e runs under them).
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { CommandFailed } from "../support/run-text.ts";

let up: CdiUp;
beforeAll(async () => {
  up = await startCdiUp({ dir: await temporaryDir() });
  for (const role of ["admin", "edit", "view"]) {
    await up.kubectl("create", "rolebinding", role, `--clusterrole=${role}`, `--user=${role}`);
  }
});
afterAll(async () => {
  await up.stop();
  await removeDir(up.dir);
});

const controllers = "system:serviceaccount:cdi:cdi-sa";
const proxy = "system:serviceaccount:cdi:cdi-uploadproxy";
const tokens = "uploadtokenrequests.upload.cdi.kubevirt.io";

test.each([
  ...["admin", "edit"].flatMap((user) => [
    ...["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"].map((verb) => ({
      user,
      verb,
      what: "datavolumes.cdi.kubevirt.io",
      may: "yes",
    })),
    { user, verb: "create", what: "datavolumes.cdi.kubevirt.io/source", may: "yes" },
    { user, verb: "create", what: tokens, may: "yes" },
    { user, verb: "patch", what: "cdiconfigs.cdi.kubevirt.io", may: "no" },
  ]),
  ...["get", "list", "watch"].map((verb) => ({ user: "view", verb, what: "datavolumes.cdi.kubevirt.io", may: "yes" })),
  ...["create", "update", "patch", "delete"].map((verb) => ({
    user: "view",
    verb,
    what: "datavolumes.cdi.kubevirt.io",
    may: "no",
  })),
  { user: "view", verb: "create", what: "datavolumes.cdi.kubevirt.io/source", may: "no" },
  { user: "view", verb: "create", what: tokens, may: "no" },
  { user: "anybody", verb: "get", what: "cdiconfigs.cdi.kubevirt.io", may: "yes" },
  { user: "anybody", verb: "list", what: "storageprofiles.cdi.kubevirt.io", may: "yes" },
  { user: "anybody", verb: "get", what: "datavolumes.cdi.kubevirt.io", may: "no" },
  { user: controllers, verb: "create", what: "pods", may: "yes" },
  { user: controllers, verb: "delete", what: "persistentvolumeclaims", may: "yes" },
  { user: controllers, verb: "patch", what: "datavolumes.cdi.kubevirt.io/status", may: "yes" },
  { user: controllers, verb: "list", what: "secrets", may: "no" },
  { user: controllers, verb: "create", what: "clusterroles.rbac.authorization.k8s.io", may: "no" },
  { user: controllers, verb: "create", what: "pods/exec", may: "no" },
  { user: controllers, verb: "delete", what: "datavolumes.cdi.kubevirt.io", may: "no" },
  { user: proxy, verb: "get", what: "persistentvolumeclaims", may: "yes" },
  { user: proxy, verb: "get", what: "secrets", may: "no" },
])("$user, $verb $what: $may", async ({ user, verb, what, may }) => {
  const [kind = "", part] = what.split("/");
  const subresource = part === undefined ? [] : [`--subresource=${part}`];
  // `can-i` exits 1 for a no.
  const answer = up.kubectl("auth", "can-i", verb, kind, ...subresource, `--as=${user}`);
  const said = await answer.catch((cause: unknown) => {
    if (cause instanceof CommandFailed) return cause.output;
    throw cause;
  });
  // kubectl may warn before; 1.20 says why after the no.
  expect(said.trim().split("\n").at(-1)).toMatch(new RegExp(`^${may}\\b`));
});

test.each([
  { kind: "serviceaccount", name: "cdi-sa" },
  { kind: "clusterrole", name: "cdi" },
  { kind: "clusterrolebinding", name: "cdi-sa" },
])("there is a $kind $name", async ({ kind, name }) => {
  expect(await up.kubectl("get", kind, name, "-n", "cdi", "-o", "name")).toContain(name);
});
