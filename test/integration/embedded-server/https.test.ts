// The wire itself: who is let in, what is refused how, and what outlives a restart.
import { request, type RequestOptions } from "node:https";
import { createConnection } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import type { LogOptions } from "../../../src/embedded/types.ts";
import { KubeError } from "../../../src/kube/index.ts";
import { until } from "../../conformance/kube-client-suite.ts";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";

interface Identity {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}
interface Response {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

function identityIn(kubeconfig: string): Identity {
  const { clusters, users } = parse(kubeconfig) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64");
  return {
    ca: decode(clusters[0]?.cluster["certificate-authority-data"]),
    cert: decode(users[0]?.user["client-certificate-data"]),
    key: decode(users[0]?.user["client-key-data"]),
  };
}

function send(
  server: TestServer,
  path: string,
  options: RequestOptions & { body?: string | Buffer; anonymous?: boolean } = {},
): Promise<Response> {
  const { body, anonymous, headers, ...rest } = options;
  // Node sends no length with a DELETE of its own accord.
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const { ca, ...client } = identityIn(server.kubeconfig());
  return new Promise((resolve, reject) => {
    const call = request(
      `${server.url}${path}`,
      { ca, ...(anonymous ? {} : client), agent: false, ...rest, headers: { ...(headers as object), ...length } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        response.on("error", reject);
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

async function started(options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  onTestFinished(() => server.close());
  return server;
}

const json = { "content-type": "application/json" };
const configMaps = "/api/v1/namespaces/default/configmaps";
/** All but the one that every namespace has. */
const fieldSelector = "metadata.name!=kube-root-ca.crt";
const ours = `fieldSelector=${encodeURIComponent(fieldSelector)}`;

test("without credentials only health and version are told", async () => {
  const server = await started();
  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    expect((await send(server, path, { anonymous: true })).status, path).toBe(200);
  }
  for (const path of ["/api", "/apis", "/api/v1/pods", "/openapi/v2", "/nothing"]) {
    const { status, text } = await send(server, path, { anonymous: true });
    expect(status, path).toBe(403);
    expect(JSON.parse(text)).toMatchObject({ kind: "Status", status: "Failure", reason: "Forbidden", code: 403 });
  }
});

test("a certificate of another server's authority is not let in", async () => {
  const [server, other] = [await started(), await started()];
  const { cert, key } = identityIn(other.kubeconfig());
  expect((await send(server, "/api/v1/pods", { anonymous: true, cert, key })).status).toBe(401);
});

test.each([
  ["a path nobody serves", "GET", "/apis/none.io/v1/things", undefined, json, 404, "NotFound"],
  ["an object that is not there", "GET", `${configMaps}/none`, undefined, json, 404, "NotFound"],
  ["a body that is no JSON", "POST", configMaps, "{", json, 400, "BadRequest"],
  ["a body of another kind", "POST", configMaps, '{"apiVersion":"v1","kind":"Pod"}', json, 400, "BadRequest"],
  ["an unknown media type", "POST", configMaps, "x", { "content-type": "text/csv" }, 415, "UnsupportedMediaType"],
  [
    "server-side apply by nobody",
    "PATCH",
    `${configMaps}/x`,
    "a: b",
    { "content-type": "application/apply-patch+yaml" },
    422,
    "Invalid",
  ],
  ["a verb that is none", "PUT", configMaps, "{}", json, 405, "MethodNotAllowed"],
  [
    "a body over three mebibytes",
    "POST",
    configMaps,
    `{"data":{"a":"${"x".repeat(3 * 1024 * 1024)}"}}`,
    json,
    413,
    "RequestEntityTooLarge",
  ],
  ["a broken escape in the path", "GET", "/api/v1/%zz", undefined, json, 404, "NotFound"],
  ["a broken selector", "GET", `${configMaps}?labelSelector=a%20in%20b`, undefined, json, 400, "BadRequest"],
  ["a dry run of another sort", "POST", `${configMaps}?dryRun=Some`, '{"metadata":{"name":"a"}}', json, 422, "Invalid"],
  [
    "damaged protobuf",
    "POST",
    configMaps,
    "k8s\0\n\xff\xff\xff",
    { "content-type": "application/vnd.kubernetes.protobuf" },
    400,
    "BadRequest",
  ],
] as const)("%s is refused with a Status", async (_what, method, path, body, headers, code, reason) => {
  const server = await started();
  const { status, text } = await send(server, path, { method, headers, ...(body === undefined ? {} : { body }) });
  expect(JSON.parse(text)).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", reason, code });
  expect(status).toBe(code);
});

test("a watch from before the history ends with an ERROR event that says 410", async () => {
  const server = await started();
  const { status, text } = await send(server, `${configMaps}?watch=1&resourceVersion=99999`);
  expect(status).toBe(200);
  expect(JSON.parse(text)).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
});

test("a watch ends by itself after the time asked for, and begins with what is there when asked to", async () => {
  const server = await started();
  await send(server, configMaps, { method: "POST", headers: json, body: '{"metadata":{"name":"a"}}' });
  const { text } = await send(
    server,
    `${configMaps}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&${ours}`,
  );
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; object: { metadata: object } });
  expect(events.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
  expect(events[1]?.object.metadata).toMatchObject({ annotations: { "k8s.io/initial-events-end": "true" } });
});

test("tables come in the version asked for, with what stands beside the cells", async () => {
  const server = await started();
  await send(server, configMaps, { method: "POST", headers: json, body: '{"metadata":{"name":"a"},"data":{"x":"y"}}' });
  const get = async (accept: string, query = ""): Promise<unknown> =>
    JSON.parse((await send(server, `${configMaps}?${ours}${query}`, { headers: { accept } })).text);
  expect(await get("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")).toMatchObject({
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    rows: [{ cells: ["a", 1, expect.any(String)], object: { kind: "PartialObjectMetadata", metadata: { name: "a" } } }],
  });
  expect(await get("application/json;as=Table;v=v1beta1;g=meta.k8s.io", "&includeObject=Object")).toMatchObject({
    apiVersion: "meta.k8s.io/v1beta1",
    rows: [{ object: { kind: "ConfigMap", data: { x: "y" } } }],
  });
  expect(await get("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")).toMatchObject({
    kind: "PartialObjectMetadataList",
    items: [{ kind: "PartialObjectMetadata", metadata: { name: "a" } }],
  });
});

test("deletecollection takes what the selector names", async () => {
  const server = await started();
  for (const name of ["a", "b", "c"]) {
    const body = JSON.stringify({ metadata: { name, labels: { keep: String(name === "c") } } });
    await send(server, configMaps, { method: "POST", headers: json, body });
  }
  await send(server, `${configMaps}?labelSelector=keep%3Dfalse`, { method: "DELETE" });
  const { items } = JSON.parse((await send(server, `${configMaps}?${ours}`)).text) as {
    items: { metadata: { name: string } }[];
  };
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["c"]);
});

test("a restart on the same folder and port keeps the kubeconfig good and the objects in place; nothing listens in between", async () => {
  const dir = await mkdtemp(join(tmpdir(), "cdi-server-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const first = await startTestServer({ dir, storeDir: join(dir, "store") });
  await send(first, configMaps, { method: "POST", headers: json, body: '{"metadata":{"name":"kept"}}' });
  const { port } = new URL(first.url);
  const watching = send(first, `${configMaps}?watch=1`).catch(() => undefined);
  await first.close();
  await watching;
  await expect(
    new Promise((resolve, reject) =>
      createConnection(Number(port), "127.0.0.1").on("connect", resolve).on("error", reject),
    ),
  ).rejects.toMatchObject({ code: "ECONNREFUSED" });
  const second = await startTestServer({ dir, storeDir: join(dir, "store"), port: Number(port) });
  onTestFinished(() => second.close());
  expect(second.kubeconfig()).toBe(first.kubeconfig());
  expect((await send(second, `${configMaps}/kept`)).status).toBe(200);
});

test.each([
  ["Foreground", "takes them first, then goes itself", []],
  ["Orphan", "leaves them, without their owner", ["child"]],
  ["Background", "goes at once, they follow", []],
] as const)("deletion of an owner, %s: %s", async (propagationPolicy, _what, left) => {
  const server = await started();
  const create = async (metadata: object): Promise<{ metadata: { uid: string } }> => {
    const answer = await send(server, configMaps, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ metadata }),
    });
    return JSON.parse(answer.text) as { metadata: { uid: string } };
  };
  const { uid } = (await create({ name: "owner" })).metadata;
  const reference = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid, blockOwnerDeletion: true };
  await create({ name: "child", ownerReferences: [reference] });
  await create({ name: "grandchild-of-nobody" });
  const body = JSON.stringify({ kind: "DeleteOptions", apiVersion: "v1", propagationPolicy });
  expect((await send(server, `${configMaps}/owner`, { method: "DELETE", headers: json, body })).status).toBe(200);
  const absent = (object: KubeObject | undefined): boolean => object === undefined;
  await until(server.client, kinds.configMap, "owner", "default", absent);
  if (left.length === 0) await until(server.client, kinds.configMap, "child", "default", absent);
  const { items } = await server.client.list(kinds.configMap, { namespace: "default", fieldSelector });
  expect(items.map(({ metadata }) => metadata.name)).toEqual([...left, "grandchild-of-nobody"]);
  expect(items.every(({ metadata }) => (metadata.ownerReferences ?? []).length === 0)).toBe(true);
});

const podLogs = "/api/v1/namespaces/default/pods/p/log";

test("what the node refuses about logs becomes a Status", async () => {
  const refusal = 'container "c" in pod "p" is waiting to start: ContainerCreating';
  const read = (): AsyncIterable<Uint8Array> => {
    throw new KubeError(400, "BadRequest", refusal);
  };
  const server = await started({ logs: { read } });
  const { status, text } = await send(server, podLogs);
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ reason: "BadRequest", message: refusal });
});

test("the node is asked for what the query says, and told when a follower leaves", async () => {
  const asked = Promise.withResolvers<LogOptions>();
  async function* read(_namespace: string, _pod: string, options: LogOptions): AsyncGenerator<Uint8Array> {
    asked.resolve(options);
    yield Buffer.from("first\n");
    await once(options.signal, "abort");
  }
  const server = await started({ logs: { read } });
  const { ca, cert, key } = identityIn(server.kubeconfig());
  const query = "follow=true&container=c&tailLines=5&timestamps=true";
  const call = request(`${server.url}${podLogs}?${query}`, { ca, cert, key, agent: false });
  call.on("error", () => undefined).end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  const [chunk] = (await once(response, "data")) as [Buffer];
  expect(chunk.toString()).toBe("first\n");
  const options = await asked.promise;
  expect(options).toMatchObject({ follow: true, container: "c", tailLines: 5, timestamps: true, previous: false });
  const left = once(options.signal, "abort");
  call.destroy();
  await left;
});

test("a taken port is an error, and leaves nothing behind", async () => {
  const server = await started();
  await expect(startTestServer({ port: Number(new URL(server.url).port) })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
});
