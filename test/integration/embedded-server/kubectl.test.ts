// The real kubectl on the embedded server: what a user of DataVolumes types, with the kubectl at hand and with Debian's old
// one where that was unpacked.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crdOf } from "../../../src/api/crd.ts";
import { declaredKinds } from "../../../src/api/declared-kinds.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { until } from "../../conformance/kube-client-suite.ts";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";
import { kubectlFor, kubectls, type Kubectl } from "../../support/kubectls.ts";

const dataVolume = (name: string, more = ""): string => `
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata:
  name: ${name}
spec:
  source:
    http:
      url: http://example.com/disk.img
${more}
  storage:
    resources:
      requests:
        storage: 1Gi
`;
const pod = (value: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: importer-x, labels: {app: cdi}}
spec:
  containers:
  - name: importer
    image: cdi-importer
    env:
    - {name: A, value: "${value}"}
    - {name: B, value: "2"}
`;
const words = (line: string | undefined): string[] => (line ?? "").trim().split(/\s{2,}/);

describe.each(kubectls)("$name", ({ binary }) => {
  // Where no other kubectl is at hand, the first is Debian's too.
  const modern = binary === kubectls[0]?.binary && !binary?.includes("kubernetes-client");
  let server: TestServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    async function* read(namespace: string, name: string): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`log of ${namespace}/${name}\n`);
    }
    server = await startTestServer({ logs: { read } });
    kubectl = kubectlFor(binary ?? "", server.kubeconfigFile, server.dir);
    for (const kind of declaredKinds) await server.client.create(crdOf(kind), kinds.crd);
  });
  afterAll(() => server.close());
  /** Skips the test, with the reason, where this kubectl is not at hand. */
  const here = (skip: (why: string) => void): void => {
    if (binary === undefined) skip("Debian's kubernetes-client is not unpacked; set CDI_KUBECTL_120");
  };

  test("apply twice, get with upstream's columns, describe, delete", async ({ skip }) => {
    here(skip);
    expect(await kubectl.run(["apply", "-f", "-"], dataVolume("dv"))).toBe("datavolume.cdi.kubevirt.io/dv created\n");
    expect(await kubectl.run(["apply", "-f", "-"], dataVolume("dv"))).toBe("datavolume.cdi.kubevirt.io/dv unchanged\n");
    const status = { phase: "ImportInProgress", progress: "12.50%", restartCount: 1 };
    const ref = { kind: kinds.dataVolume, namespace: "default", name: "dv" };
    await server.client.patch(ref, { status }, { type: "merge", subresource: "status" });
    const [head, row] = (await kubectl.run(["get", "dv"])).split("\n");
    expect(words(head)).toEqual(["NAME", "PHASE", "PROGRESS", "RESTARTS", "AGE"]);
    expect(words(row).slice(0, 4)).toEqual(["dv", "ImportInProgress", "12.50%", "1"]);
    expect((await kubectl.run(["get", "dv", "-A"])).split("\n")[0]).toMatch(/^NAMESPACE\s+NAME/);
    expect(await kubectl.run(["get", "all"])).toContain("datavolume.cdi.kubevirt.io/dv");
    expect(await kubectl.run(["describe", "dv", "dv"])).toMatch(/Phase:\s+ImportInProgress/);
    expect(await kubectl.run(["delete", "dv", "dv"])).toContain("deleted");
    expect(await kubectl.fails(["get", "dv", "dv"])).toContain('datavolumes.cdi.kubevirt.io "dv" not found');
  });

  test("events and describe show what was told of an object", async ({ skip }) => {
    here(skip);
    await kubectl.run(["apply", "-f", "-"], dataVolume("told"));
    const about = await server.client.get({ kind: kinds.dataVolume, namespace: "default", name: "told" });
    const now = new Date().toISOString().replace(/\.\d+/, "");
    await server.client.create(
      {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "told.1", namespace: "default" },
        involvedObject: {
          apiVersion: "cdi.kubevirt.io/v1beta1",
          kind: "DataVolume",
          name: "told",
          namespace: "default",
          uid: about?.metadata.uid,
        },
        type: "Normal",
        reason: "Pending",
        message: "PVC told Pending",
        source: { component: "datavolume-import-controller" },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      },
      kinds.event,
    );
    expect(await kubectl.run(["describe", "dv", "told"])).toMatch(
      /Normal\s+Pending\s+\d+s\s+datavolume-import-controller\s+PVC told Pending/,
    );
    const [head, row] = (await kubectl.run(["get", "events"])).split("\n");
    expect(words(head)).toEqual(["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    expect(words(row).slice(1)).toEqual(["Normal", "Pending", "datavolume/told", "PVC told Pending"]);
    if (modern) expect(await kubectl.run(["events", "--for", "dv/told"])).toContain("PVC told Pending");
  });

  test("label, annotate, the three patches", async ({ skip }) => {
    here(skip);
    await kubectl.run(["create", "configmap", "cm", "--from-literal=a=1"]);
    await kubectl.run(["label", "configmap", "cm", "x=y"]);
    await kubectl.run(["annotate", "configmap", "cm", "note=this"]);
    await kubectl.run(["patch", "configmap", "cm", "--type", "merge", "-p", '{"data":{"b":"2"}}']);
    await kubectl.run([
      "patch",
      "configmap",
      "cm",
      "--type",
      "json",
      "-p",
      '[{"op":"replace","path":"/data/a","value":"3"}]',
    ]);
    await kubectl.run(["patch", "configmap", "cm", "-p", '{"data":{"c":"4"}}']);
    const object = JSON.parse(await kubectl.run(["get", "cm", "cm", "-o", "json"])) as object;
    expect(object).toMatchObject({
      metadata: { labels: { x: "y" }, annotations: { note: "this" } },
      data: { a: "3", b: "2", c: "4" },
    });
    expect(await kubectl.run(["get", "cm", "-l", "x=y", "-o", "name"])).toBe("configmap/cm\n");
    expect(await kubectl.fails(["label", "configmap", "cm", "x=not good"])).toMatch(/[Ii]nvalid/);
    await kubectl.run(["delete", "configmap", "cm"]);
  });

  test("create makes what certificates and credentials come in", async ({ skip }) => {
    here(skip);
    await kubectl.run(["create", "namespace", "made"]);
    await kubectl.run(["create", "secret", "generic", "s", "-n", "made", "--from-literal=accessKeyId=user"]);
    await kubectl.run(["create", "serviceaccount", "sa", "-n", "made"]);
    expect(await kubectl.run(["get", "secret", "s", "-n", "made", "-o", "jsonpath={.data.accessKeyId}"])).toBe(
      btoa("user"),
    );
    await kubectl.run(["delete", "namespace", "made"]);
    expect(await kubectl.fails(["get", "secret", "-n", "made", "s"])).toContain("not found");
  });

  test("apply of a pod merges lists by key; logs; columns", async ({ skip }) => {
    here(skip);
    await kubectl.run(["apply", "-f", "-"], pod("1"));
    expect(await kubectl.run(["apply", "-f", "-"], pod("new"))).toContain("configured");
    const env = await kubectl.run(["get", "pod", "importer-x", "-o", "jsonpath={.spec.containers[0].env}"]);
    expect(JSON.parse(env)).toEqual([
      { name: "A", value: "new" },
      { name: "B", value: "2" },
    ]);
    expect(await kubectl.run(["logs", "importer-x"])).toBe("log of default/importer-x\n");
    const [head, row] = (await kubectl.run(["get", "pods"])).split("\n");
    expect(words(head)).toEqual(["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    expect(words(row).slice(0, 4)).toEqual(["importer-x", "0/1", "Pending", "0"]);
    await kubectl.run(["describe", "pod", "importer-x"]);
    await kubectl.run(["delete", "pod", "importer-x"]);
  });

  test("get -w follows, wait waits", async ({ skip }) => {
    here(skip);
    await kubectl.run(["apply", "-f", "-"], dataVolume("watched"));
    const watching = kubectl.start(["get", "dv", "watched", "-w", "--no-headers"]);
    let seen = "";
    const closed = once(watching, "close");
    watching.stdout?.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      watching.emit("seen");
    });
    const shows = async (text: string): Promise<void> => {
      while (!seen.includes(text)) await once(watching, "seen");
    };
    await shows("watched");
    const ref = { kind: kinds.dataVolume, namespace: "default", name: "watched" };
    const waiting = kubectl.run(["wait", "--for=condition=Ready", "dv/watched", "--timeout=20s"]);
    const conditions = [{ type: "Ready", status: "True" }];
    await server.client.patch(
      ref,
      { status: { phase: "Succeeded", conditions } },
      { type: "merge", subresource: "status" },
    );
    expect(await waiting).toContain("condition met");
    // kubectl drops the first event of a watch on one object: if ours was that, later ones follow.
    for (let restartCount = 1; !seen.includes("Succeeded"); restartCount += 1) {
      await server.client.patch(ref, { status: { restartCount } }, { type: "merge", subresource: "status" });
      await Promise.race([once(watching, "seen"), pause(200)]);
    }
    watching.kill();
    await closed;
    // A delete waits until the last finalizer has left.
    await server.client.patch(ref, { metadata: { finalizers: ["test.cdi.kubevirt.io/hold"] } }, { type: "merge" });
    const deleted = kubectl.run(["delete", "dv", "watched"]);
    const isMarked = (object: KubeObject | undefined): boolean => object?.metadata.deletionTimestamp !== undefined;
    await until(server.client, kinds.dataVolume, "watched", "default", isMarked);
    await server.client.patch(ref, { metadata: { finalizers: [] } }, { type: "merge" });
    await deleted;
  });

  test("a field the schema does not know stops apply", async ({ skip }) => {
    here(skip);
    const output = await kubectl.fails(["apply", "-f", "-"], dataVolume("typo", "      typo: 1"));
    expect(output).toMatch(/unknown field "(spec\.source\.http\.)?typo"/);
    await kubectl.run(["apply", "--validate=false", "-f", "-"], dataVolume("typo", "      typo: 1"));
    await kubectl.run(["delete", "dv", "typo"]);
  });

  test("dry run on the server writes nothing", async ({ skip }) => {
    here(skip);
    expect(await kubectl.run(["apply", "--dry-run=server", "-f", "-"], dataVolume("dry"))).toContain(
      "(server dry run)",
    );
    await kubectl.fails(["get", "dv", "dry"]);
  });

  test("explain, api-resources and version answer", async ({ skip }) => {
    here(skip);
    expect(await kubectl.run(["explain", "dv.spec.source.http"])).toContain("certConfigMap");
    expect(await kubectl.run(["explain", "dv.spec.source", "--recursive"])).toMatch(
      /http\s+<Object>[^]*certConfigMap\s+<string>[^]*s3\s+<Object>/,
    );
    expect(await kubectl.run(["api-resources"])).toMatch(
      /datavolumes\s+dv,dvs\s+cdi.kubevirt.io\/v1beta1\s+true\s+DataVolume/,
    );
    expect(await kubectl.run(["version"])).toContain("v1.32.0+cdi");
  });
});
