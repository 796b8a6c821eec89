// What every Kubernetes API must do for our client, whoever serves it: one suite, run against the embedded server in process
// and over HTTPS, and against any cluster named by CDI_TEST_KUBECONFIG.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { kinds } from "../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../src/api/meta.ts";
import type { KubeClient, WatchEvent } from "../../src/kube/index.ts";

export const gadgets: KindRef = {
  apiVersion: "conformance.cdi.kubevirt.io/v1",
  kind: "Gadget",
  plural: "gadgets",
  namespaced: true,
};

const definition: KubeObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.conformance.cdi.kubevirt.io" },
  spec: {
    group: "conformance.cdi.kubevirt.io",
    names: { kind: "Gadget", listKind: "GadgetList", plural: "gadgets", singular: "gadget" },
    scope: "Namespaced",
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: {
                  size: { type: "integer", minimum: 1 },
                  mode: { type: "string", enum: ["A", "B"], default: "A" },
                },
              },
              status: { type: "object", properties: { phase: { type: "string" } } },
            },
          },
        },
      },
    ],
  },
};

const gadget = (name: string, spec: object = { size: 1 }, more: object = {}): KubeObject => ({
  apiVersion: gadgets.apiVersion,
  kind: gadgets.kind,
  metadata: { name, ...more },
  spec,
});
const configMap = (name: string, data: object = {}, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...more },
  data,
});

/** Waits for `seen` by watching, never by sleeping. */
export async function until(
  client: KubeClient,
  kind: KindRef,
  name: string,
  namespace: string | undefined,
  fits: (object: KubeObject | undefined) => boolean,
): Promise<void> {
  const stop = new AbortController();
  const list = await client.list(kind, { ...(namespace ? { namespace } : {}), fieldSelector: `metadata.name=${name}` });
  if (fits(list.items[0])) return;
  const { resourceVersion } = list;
  const options = {
    ...(namespace ? { namespace } : {}),
    fieldSelector: `metadata.name=${name}`,
    resourceVersion,
    signal: stop.signal,
  };
  for await (const event of client.watch(kind, options)) {
    if (event.type === "BOOKMARK") continue;
    if (fits(event.type === "DELETED" ? undefined : event.object)) break;
  }
  stop.abort();
}

/** Describes the suite; `open` is called once, before it. */
export function clientMustBehave(
  name: string,
  open: () => Promise<{ client: KubeClient; close(): Promise<void> }>,
): void {
  describe(name, () => {
    let client: KubeClient;
    let close: () => Promise<void>;
    const namespace = `conformance-${process.pid}`;
    const of = (kind: KindRef, objectName: string) => ({ kind, namespace, name: objectName });
    const create = (object: KubeObject, kind: KindRef): Promise<KubeObject> =>
      client.create({ ...object, metadata: { ...object.metadata, namespace } }, kind);
    const refusal = (status: number, reason: string) => expect.objectContaining({ status, reason }) as unknown;

    beforeAll(async () => {
      const opened = await open();
      client = opened.client;
      close = () => opened.close();
      await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, kinds.namespace);
      await client.create(definition, kinds.crd);
      const isEstablished = (crd: KubeObject | undefined): boolean =>
        ((crd?.["status"] as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []).some(
          (condition) => condition.type === "Established" && condition.status === "True",
        );
      await until(client, kinds.crd, "gadgets.conformance.cdi.kubevirt.io", undefined, isEstablished);
    });
    afterAll(async () => {
      await client.delete({ kind: kinds.crd, name: "gadgets.conformance.cdi.kubevirt.io" });
      await client.delete({ kind: kinds.namespace, name: namespace });
      await until(client, kinds.namespace, namespace, undefined, (object) => object === undefined);
      await close();
    });

    test("a created object has what the server gives it, and a get returns the same", async () => {
      const made = await create(configMap("made", { a: "1" }), kinds.configMap);
      expect(made.metadata).toMatchObject({
        name: "made",
        namespace,
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      });
      expect(await client.get(of(kinds.configMap, "made"))).toMatchObject({
        data: { a: "1" },
        metadata: { uid: made.metadata.uid },
      });
    });

    test("what is not there is undefined, not an error", async () => {
      expect(await client.get(of(kinds.configMap, "absent"))).toBeUndefined();
      await client.delete(of(kinds.configMap, "absent"));
    });

    test("a second create of the same name is AlreadyExists", async () => {
      await create(configMap("twice"), kinds.configMap);
      await expect(create(configMap("twice"), kinds.configMap)).rejects.toEqual(refusal(409, "AlreadyExists"));
    });

    test("generateName gives a fresh name each time", async () => {
      const one = await create({ ...configMap(""), metadata: { generateName: "gen-" } }, kinds.configMap);
      const two = await create({ ...configMap(""), metadata: { generateName: "gen-" } }, kinds.configMap);
      expect(one.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
      expect(one.metadata.name).not.toBe(two.metadata.name);
    });

    test.each([
      ["a bad name", { name: "Not_Good" }],
      ["a bad label", { name: "bad-label", labels: { "a b": "c" } }],
      ["a bad label value", { name: "bad-label", labels: { a: "no spaces" } }],
    ])("%s is Invalid", async (_what, metadata) => {
      await expect(create({ ...configMap("x"), metadata }, kinds.configMap)).rejects.toEqual(refusal(422, "Invalid"));
    });

    test("a namespace that is not there is NotFound", async () => {
      const object = configMap("x", {}, { namespace: "no-such-namespace" });
      await expect(client.create(object, kinds.configMap)).rejects.toEqual(refusal(404, "NotFound"));
    });

    test("an update with a stale version is a Conflict, with the seen one it passes", async () => {
      const made = await create(configMap("update", { a: "1" }), kinds.configMap);
      const first = await client.update({ ...made, data: { a: "2" } }, kinds.configMap);
      expect(first["data"]).toEqual({ a: "2" });
      await expect(client.update({ ...made, data: { a: "3" } }, kinds.configMap)).rejects.toEqual(
        refusal(409, "Conflict"),
      );
    });

    test("a patch that carries a stale version is a Conflict", async () => {
      const made = await create(configMap("stale-patch", { a: "1" }), kinds.configMap);
      await client.patch(of(kinds.configMap, "stale-patch"), { data: { a: "2" } }, { type: "merge" });
      const body = { metadata: { resourceVersion: made.metadata.resourceVersion }, data: { a: "3" } };
      await expect(client.patch(of(kinds.configMap, "stale-patch"), body, { type: "merge" })).rejects.toEqual(
        refusal(409, "Conflict"),
      );
    });

    test("a write that changes nothing keeps the version", async () => {
      const made = await create(configMap("same", { a: "1" }), kinds.configMap);
      const again = await client.patch(of(kinds.configMap, "same"), { data: { a: "1" } }, { type: "merge" });
      expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    });

    test.each([
      ["merge", { data: { a: null, c: "3" } }, { b: "2", c: "3" }],
      ["strategic", { data: { a: null, c: "3" } }, { b: "2", c: "3" }],
      ["json", [{ op: "replace", path: "/data/a", value: "9" }], { a: "9", b: "2" }],
    ] as const)("%s patch", async (type, body, data) => {
      await create(configMap(`patch-${type}`, { a: "1", b: "2" }), kinds.configMap);
      expect((await client.patch(of(kinds.configMap, `patch-${type}`), body, { type }))["data"]).toEqual(data);
    });

    test("patching what is not there is NotFound", async () => {
      await expect(client.patch(of(kinds.configMap, "absent"), {}, { type: "merge" })).rejects.toEqual(
        refusal(404, "NotFound"),
      );
    });

    test("custom resources know no strategic patch", async () => {
      await create(gadget("strategic"), gadgets);
      await expect(client.patch(of(gadgets, "strategic"), { spec: {} }, { type: "strategic" })).rejects.toEqual(
        expect.objectContaining({ status: 415 }),
      );
    });

    test("a list selects by label and by field", async () => {
      for (const [at, app] of ["x", "x", "y"].entries()) {
        await create(configMap(`list-${at}`, {}, { labels: { "list-test": app } }), kinds.configMap);
      }
      const names = async (options: object): Promise<(string | undefined)[]> =>
        (await client.list(kinds.configMap, { namespace, ...options })).items.map(({ metadata }) => metadata.name);
      expect(await names({ labelSelector: "list-test=x" })).toEqual(["list-0", "list-1"]);
      expect(await names({ labelSelector: "list-test notin (x),list-test" })).toEqual(["list-2"]);
      expect(await names({ fieldSelector: "metadata.name=list-1" })).toEqual(["list-1"]);
    });

    describe("custom resources", () => {
      test("defaults are filled, unknown fields dropped, status of a create dropped, generation is 1", async () => {
        const made = await create({ ...gadget("fresh", { size: 2, typo: 1 }), status: { phase: "x" } }, gadgets);
        expect(made["spec"]).toEqual({ size: 2, mode: "A" });
        expect(made["status"]).toBeUndefined();
        expect(made.metadata.generation).toBe(1);
      });
      test.each([
        ["below the minimum", { size: 0 }],
        ["of the wrong type", { size: "big" }],
        ["not in the list", { mode: "C" }],
      ])("%s is Invalid", async (_what, spec) => {
        await expect(create(gadget("invalid", spec), gadgets)).rejects.toEqual(refusal(422, "Invalid"));
      });
      test("spec and status are written apart; only the spec moves the generation", async () => {
        await create(gadget("parts"), gadgets);
        const both = { spec: { size: 5 }, status: { phase: "Done" } };
        const main = await client.patch(of(gadgets, "parts"), both, { type: "merge" });
        expect(main).toMatchObject({ spec: { size: 5 }, metadata: { generation: 2 } });
        expect(main["status"]).toBeUndefined();
        const status = await client.patch(
          of(gadgets, "parts"),
          { spec: { size: 9 }, status: { phase: "Done" } },
          { type: "merge", subresource: "status" },
        );
        expect(status).toMatchObject({ spec: { size: 5 }, status: { phase: "Done" }, metadata: { generation: 2 } });
        const labelled = await client.patch(
          of(gadgets, "parts"),
          { metadata: { labels: { a: "b" } } },
          { type: "merge" },
        );
        expect(labelled.metadata.generation).toBe(2);
      });
      test("an update must say what it saw", async () => {
        await create(gadget("blind"), gadgets);
        const blind = gadget("blind", { size: 3 }, { namespace });
        await expect(client.update(blind, gadgets)).rejects.toEqual(refusal(422, "Invalid"));
      });
    });

    describe("watch", () => {
      /** Events as words, until `count` of them came. */
      const collect = async (
        kind: KindRef,
        options: object,
        resourceVersion: string,
        count: number,
      ): Promise<string[]> => {
        const stop = new AbortController();
        const seen: string[] = [];
        for await (const event of client.watch(kind, { namespace, resourceVersion, signal: stop.signal, ...options })) {
          if (event.type === "BOOKMARK") continue;
          seen.push(`${event.type} ${event.object.metadata.name}`);
          if (seen.length === count) break;
        }
        stop.abort();
        return seen;
      };

      test("resumes after a list without gap or repetition", async () => {
        const { resourceVersion } = await client.list(kinds.configMap, { namespace });
        const seen = collect(kinds.configMap, { labelSelector: "w=1" }, resourceVersion, 3);
        await create(configMap("w-a", {}, { labels: { w: "1" } }), kinds.configMap);
        await client.patch(of(kinds.configMap, "w-a"), { data: { x: "1" } }, { type: "merge" });
        await client.delete(of(kinds.configMap, "w-a"));
        expect(await seen).toEqual(["ADDED w-a", "MODIFIED w-a", "DELETED w-a"]);
        // The same again, all of it from history.
        expect(await collect(kinds.configMap, { labelSelector: "w=1" }, resourceVersion, 3)).toEqual(await seen);
      });

      test("what leaves the selector is DELETED, what enters it ADDED", async () => {
        const { resourceVersion } = await client.list(kinds.configMap, { namespace });
        await create(configMap("w-b", {}, { labels: { side: "in" } }), kinds.configMap);
        await client.patch(of(kinds.configMap, "w-b"), { metadata: { labels: { side: "out" } } }, { type: "merge" });
        await client.patch(of(kinds.configMap, "w-b"), { metadata: { labels: { side: "in" } } }, { type: "merge" });
        expect(await collect(kinds.configMap, { labelSelector: "side=in" }, resourceVersion, 3)).toEqual([
          "ADDED w-b",
          "DELETED w-b",
          "ADDED w-b",
        ]);
      });

      test("version 0 begins with what is there", async () => {
        await create(gadget("there"), gadgets);
        expect(await collect(gadgets, { fieldSelector: "metadata.name=there" }, "0", 1)).toEqual(["ADDED there"]);
      });

      test("ends with its signal", async () => {
        const stop = new AbortController();
        const { resourceVersion } = await client.list(kinds.configMap, { namespace });
        const events: WatchEvent[] = [];
        const watching = (async () => {
          for await (const event of client.watch(kinds.configMap, { namespace, resourceVersion, signal: stop.signal }))
            events.push(event);
        })();
        stop.abort();
        await watching;
        expect(events).toEqual([]);
      });
    });

    describe("delete", () => {
      test("with another uid is a Conflict", async () => {
        await create(configMap("uid"), kinds.configMap);
        await expect(client.delete(of(kinds.configMap, "uid"), { uid: "other" })).rejects.toEqual(
          refusal(409, "Conflict"),
        );
      });

      test("waits for finalizers", async () => {
        await create(gadget("held", { size: 1 }, { finalizers: ["test.cdi.kubevirt.io/hold"] }), gadgets);
        await client.delete(of(gadgets, "held"));
        const held = await client.get(of(gadgets, "held"));
        expect(held?.metadata.deletionTimestamp).toBeDefined();
        const more = { metadata: { finalizers: ["test.cdi.kubevirt.io/hold", "test.cdi.kubevirt.io/more"] } };
        await expect(client.patch(of(gadgets, "held"), more, { type: "merge" })).rejects.toEqual(
          refusal(422, "Invalid"),
        );
        await client.patch(of(gadgets, "held"), { metadata: { finalizers: [] } }, { type: "merge" });
        expect(await client.get(of(gadgets, "held"))).toBeUndefined();
      });

      test("of an owner takes its dependents along, in the background", async () => {
        const owner = await create(gadget("owner"), gadgets);
        const { uid = "" } = owner.metadata;
        const ownerReferences = [{ apiVersion: gadgets.apiVersion, kind: gadgets.kind, name: "owner", uid }];
        await create(configMap("dependent", {}, { ownerReferences }), kinds.configMap);
        await create(configMap("bystander"), kinds.configMap);
        onTestFinished(() => client.delete(of(kinds.configMap, "bystander")));
        await client.delete(of(gadgets, "owner"));
        await until(client, kinds.configMap, "dependent", namespace, (object) => object === undefined);
        expect(await client.get(of(kinds.configMap, "bystander"))).toBeDefined();
      });

      test("a pod that never ran is gone at once", async () => {
        const spec = { containers: [{ name: "c", image: "none" }], schedulerName: "nobody" };
        const pod = await create({ apiVersion: "v1", kind: "Pod", metadata: { name: "idle" }, spec }, kinds.pod);
        expect(pod).toMatchObject({ status: { phase: "Pending" }, spec: { restartPolicy: "Always" } });
        await client.delete(of(kinds.pod, "idle"));
        expect(await client.get(of(kinds.pod, "idle"))).toBeUndefined();
      });
    });
  });
}
