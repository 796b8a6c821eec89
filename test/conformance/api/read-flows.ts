// Pages and watches.
import { expect } from "vitest";
import { type Flow, fresh, slow, ask, namesIn, merge, wordsOf, versionOf, codeOf } from "./flow.ts";
import { configMap, namespace, pathOf, thing } from "./place.ts";

export const pages: Flow[] = [
  {
    when: "pages go on where the last one ended, and tell how many are left",
    async run(api) {
      const place = `/api/v1/namespaces/${namespace}-pages/configmaps`;
      await ask(api, 201, "POST namespaces", {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: `${namespace}-pages` },
      });
      // Every namespace has the authority's certificate in one, sooner or later.
      await expect.poll(() => codeOf(api, `GET ${place}/kube-root-ca.crt`), slow).toBe(200);
      for (const name of ["a", "b", "c", "d"]) await ask(api, 201, `POST ${place}`, configMap(name));
      const first = await ask(api, 200, `GET ${place}?limit=2`);
      expect(namesIn(first)).toEqual(["a", "b"]);
      expect(first.metadata["remainingItemCount"]).toBe(3);
      const token = encodeURIComponent(String(first.metadata["continue"]));
      await ask(api, 201, `POST ${place}`, configMap("bb"));
      const second = await ask(api, 200, `GET ${place}?limit=2&continue=${token}`);
      expect(namesIn(second)).toEqual(["c", "d"]);
      expect(second.metadata["resourceVersion"]).toBe(first.metadata["resourceVersion"]);
      const last = await ask(
        api,
        200,
        `GET ${place}?continue=${encodeURIComponent(String(second.metadata["continue"]))}`,
      );
      expect(namesIn(last)).toEqual(["kube-root-ca.crt"]);
      expect(last.metadata).not.toHaveProperty("continue");
      await ask(api, 400, `GET ${place}?continue=${token}&resourceVersion=1`);
      await ask(api, 200, `DELETE namespaces/${namespace}-pages`);
    },
  },
  {
    when: "a list as of a version shows what was there then",
    async run(api) {
      const name = fresh();
      await ask(api, 201, "POST configmaps", configMap(name, { a: "1" }, { labels: { flow: name } }));
      const selector = `labelSelector=flow%3D${name}`;
      const before = String((await ask(api, 200, `GET configmaps?${selector}`)).metadata["resourceVersion"]);
      await ask(api, 200, `PATCH configmaps/${name}`, { data: { a: "2" } }, merge);
      const then = await ask(
        api,
        200,
        `GET configmaps?${selector}&resourceVersion=${before}&resourceVersionMatch=Exact`,
      );
      expect(then["items"]).toMatchObject([{ data: { a: "1" } }]);
      expect(then.metadata["resourceVersion"]).toBe(before);
    },
  },
];

export const watches: Flow[] = [
  {
    when: "a watch from a version gives each change after it, in order",
    async run(api) {
      const name = fresh();
      const from = await versionOf(api, "configmaps");
      await ask(api, 201, "POST configmaps", configMap(name, {}, { labels: { flow: name } }));
      await ask(api, 200, `PATCH configmaps/${name}`, { data: { a: "1" } }, merge);
      await ask(api, 200, `DELETE configmaps/${name}`);
      const path = pathOf(`configmaps?watch=1&labelSelector=flow%3D${name}&resourceVersion=${from}&timeoutSeconds=30`);
      const lines = await api.watch(path, (seen) => seen.length === 3);
      expect(wordsOf(lines)).toEqual([`ADDED ${name}`, `MODIFIED ${name}`, `DELETED ${name}`]);
      const versions = lines.map(({ object }) => Number(object.metadata?.["resourceVersion"]));
      expect(versions.toSorted((a, b) => a - b)).toEqual(versions);
      expect(new Set(versions).size).toBe(3);
    },
  },
  {
    when: "a watch without a version begins with what is there, and ends when its time is over",
    async run(api) {
      const name = fresh();
      await ask(api, 201, "POST things", thing(name));
      const lines = await api.watch(pathOf(`things?watch=true&fieldSelector=metadata.name%3D${name}&timeoutSeconds=1`));
      expect(wordsOf(lines)).toEqual([`ADDED ${name}`]);
    },
  },
  {
    when: "what leaves the selector is DELETED, what enters it ADDED",
    async run(api) {
      const name = fresh();
      const from = await versionOf(api, "configmaps");
      await ask(api, 201, "POST configmaps", configMap(name, {}, { labels: { side: `in-${name}` } }));
      for (const side of ["out", "in"])
        await ask(api, 200, `PATCH configmaps/${name}`, { metadata: { labels: { side: `${side}-${name}` } } }, merge);
      const path = pathOf(
        `configmaps?watch=1&labelSelector=side%3Din-${name}&resourceVersion=${from}&timeoutSeconds=30`,
      );
      const lines = await api.watch(path, (seen) => seen.length === 3);
      expect(wordsOf(lines)).toEqual([`ADDED ${name}`, `DELETED ${name}`, `ADDED ${name}`]);
    },
  },
  {
    when: "a watch of metadata alone",
    async run(api) {
      const name = fresh();
      await ask(api, 201, "POST configmaps", configMap(name, { a: "1" }));
      const path = pathOf(`configmaps?watch=1&fieldSelector=metadata.name%3D${name}&timeoutSeconds=1`);
      const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
      const { text } = await api.send({ method: "GET", path, headers: { accept } });
      const [line] = text.trim().split("\n");
      expect(JSON.parse(line ?? "")).toMatchObject({
        type: "ADDED",
        object: { kind: "PartialObjectMetadata", metadata: { name } },
      });
      expect(line).not.toContain('"data"');
    },
  },
  {
    when: "a watch of tables",
    async run(api) {
      const name = fresh();
      await ask(api, 201, "POST things", thing(name, { size: 4 }));
      const path = pathOf(`things?watch=1&fieldSelector=metadata.name%3D${name}&timeoutSeconds=1`);
      const accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
      const { text } = await api.send({ method: "GET", path, headers: { accept } });
      const line = JSON.parse(text.trim().split("\n")[0] ?? "") as { object: { rows: { cells: unknown[] }[] } };
      expect(line).toMatchObject({ type: "ADDED", object: { kind: "Table" } });
      expect(line.object.rows[0]?.cells.slice(0, 3)).toEqual([name, 4, "A"]);
    },
  },
  {
    when: "a watch with a broken selector is BadRequest",
    run: async (api) => void (await ask(api, 400, "GET configmaps?watch=1&labelSelector=a%20b")),
  },
  {
    when: "bookmarks come to those who ask, with a version and nothing else",
    async run(api) {
      const from = await versionOf(api, "configmaps");
      const path = pathOf(
        `configmaps?watch=1&allowWatchBookmarks=true&labelSelector=flow%3Dnone&resourceVersion=${from}&timeoutSeconds=4`,
      );
      const lines = await api.watch(path);
      expect(lines.length).toBeGreaterThan(0);
      expect(lines[0]).toMatchObject({ type: "BOOKMARK", object: { kind: "ConfigMap", apiVersion: "v1" } });
      expect(Number(lines[0]?.object.metadata?.["resourceVersion"])).toBeGreaterThanOrEqual(Number(from));
      expect(lines[0]?.object.metadata).not.toHaveProperty("name");
    },
  },
];
