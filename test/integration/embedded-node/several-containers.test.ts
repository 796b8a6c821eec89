// Pods of several containers: an init container that leaves something, two that work side by side on it and by localhost.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { Container, ContainerStatus, Pod } from "../../../src/embedded/pods/pod-types.ts";
import {
  aPod,
  createPod,
  gone,
  isRoot,
  logOf,
  phase,
  startTestNode,
  tracesOf,
  untilPod,
  type TestNode,
} from "./node.ts";

const roads = isRoot ? (["device", "folder"] as const) : (["folder"] as const);
const root = "${CDI_ROOT:-}";
const terminationLog = `${root}/dev/termination-log`;
const port = 8100;

const shared = [{ name: "shared", mountPath: "/shared" }];
const worker = (name: string, script: string): Container => ({
  name,
  image: "sh",
  args: [script],
  securityContext: { runAsUser: 107 },
  volumeMounts: shared,
});
const program = (name: string, script: string): Container => ({ ...worker(name, script), image: "node" });

interface Parts {
  init?: readonly Container[];
  main: readonly Container[];
  policy?: "OnFailure" | "Never";
}
function podOf(name: string, { init = [], main, policy = "OnFailure" }: Parts): Pod {
  const pod = aPod(name, "", { restartPolicy: policy, volumes: [{ name: "shared", emptyDir: {} }] });
  pod.spec.initContainers = [...init];
  pod.spec.containers = [...main];
  return pod;
}

const named = (pod: Pod | undefined, name: string): ContainerStatus | undefined =>
  [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])].find(
    (one) => one.name === name,
  );
const reasons = (pod: Pod | undefined): (string | undefined)[] =>
  (pod?.status?.containerStatuses ?? []).map(({ state }) => state.waiting?.reason);

// What listens on "localhost" finds the pod's own address there; where names cannot be bound in, its variable says it.
const serve = `
const { createServer } = require("node:http");
const { existsSync, writeFileSync } = require("node:fs");
const root = process.env.CDI_ROOT ?? "";
const server = createServer((request, response) => response.end("this is " + process.env.HOSTNAME));
server.listen(${port}, root ? process.env.CDI_POD_IP : "localhost", () => writeFileSync(root + "/shared/ready", "x"));
const look = setInterval(() => {
  if (!existsSync(root + "/shared/done")) return;
  clearInterval(look);
  writeFileSync(root + "/dev/termination-log", "served");
  server.close();
  server.closeAllConnections();
}, 20);`;
const ask = `
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const root = process.env.CDI_ROOT ?? "";
const hosts = readFileSync(process.env.CDI_HOSTS ?? "/etc/hosts", "utf8");
const [, address] = /^(\\S+) localhost$/m.exec(hosts);
const look = setInterval(async () => {
  if (!existsSync(root + "/shared/ready") || !existsSync(root + "/shared/go")) return;
  clearInterval(look);
  const answer = await fetch("http://" + (root ? address : "localhost") + ":${port}/");
  console.log(await answer.text());
  writeFileSync(root + "/dev/termination-log", "asked");
  writeFileSync(root + "/shared/done", "x");
}, 20);`;

describe.each(roads)("on the %s road", (road) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode({
      road,
      backoff: { baseMs: 200, capMs: 400 },
      images: { sh: ["/bin/sh", "-c"], node: [process.execPath, "-e"] },
    });
  });
  afterAll(async () => {
    await node.close();
    expect(await tracesOf(node.dir)).toEqual([]);
  });

  test("an init container's work is there for both, and each pod's localhost is its own", async () => {
    const init = [worker("init", `echo made > ${root}/shared/server`)];
    // "go" comes when both pods' servers listen on the same port.
    const main = [program("importer", ask), program("server", serve)];
    await Promise.all(["one", "two"].map((name) => createPod(node, podOf(name, { init, main }))));
    const both = (pod: Pod | undefined): boolean =>
      named(pod, "importer")?.state.running !== undefined && named(pod, "server")?.state.running !== undefined;
    for (const name of ["one", "two"]) {
      const pod = await untilPod(node, name, both);
      expect(pod.status?.phase).toBe("Running");
      expect(named(pod, "init")).toMatchObject({ ready: true, state: { terminated: { reason: "Completed" } } });
    }
    for (const name of ["one", "two"]) {
      const { metadata } = (await node.client.get({ kind: kinds.pod, namespace: "default", name })) as Pod;
      await writeFile(join(node.dir, "pods", metadata.uid ?? "", "volumes/shared/go"), "");
    }
    for (const name of ["one", "two"]) {
      const pod = await untilPod(node, name, phase("Succeeded"));
      expect(await logOf(node, name, { container: "importer" })).toBe(`this is ${name}\n`);
      expect(named(pod, "importer")?.state.terminated?.message).toBe("asked");
      expect(named(pod, "server")?.state.terminated).toMatchObject({ exitCode: 0, message: "served" });
      expect(pod.status?.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toContain("Ready PodCompleted");
    }
  });

  test("an init container that fails is tried again, and nothing else starts before it is done", async () => {
    const flag = `${root}/shared/again`;
    const tries = `[ "$(cat ${flag} 2>/dev/null | wc -c)" -ge 4 ] || { printf xx >> ${flag}; printf no > ${terminationLog}; exit 9; }`;
    const init = [worker("first", tries), worker("second", "true")];
    await createPod(node, podOf("again", { init, main: [worker("a", "true"), worker("b", "true")] }));
    const waiting = await untilPod(
      node,
      "again",
      (pod) => named(pod, "first")?.state.waiting?.reason === "CrashLoopBackOff",
    );
    expect(waiting.status?.phase).toBe("Pending");
    expect(reasons(waiting)).toEqual(["PodInitializing", "PodInitializing"]);
    expect(named(waiting, "second")?.state.waiting?.reason).toBe("PodInitializing");
    expect(named(waiting, "first")?.lastState.terminated).toMatchObject({ exitCode: 9, message: "no" });
    const done = await untilPod(node, "again", phase("Succeeded"));
    expect(named(done, "first")).toMatchObject({ restartCount: 2, ready: true });
  });

  test("without restarts a failed init container fails the pod", async () => {
    const init = [worker("first", "exit 3"), worker("second", "true")];
    await createPod(node, podOf("never", { init, main: [worker("a", "true")], policy: "Never" }));
    const failed = await untilPod(node, "never", phase("Failed"));
    expect(named(failed, "first")?.state.terminated?.exitCode).toBe(3);
    expect([named(failed, "second"), named(failed, "a")].map((one) => one?.state.waiting?.reason)).toEqual([
      "PodInitializing",
      "PodInitializing",
    ]);
  });

  test("an init container that is to stay is refused in words, and holds the pod", async () => {
    const init = [{ ...worker("sidecar", "true"), restartPolicy: "Always" }];
    await createPod(node, podOf("sidecar", { init, main: [worker("a", "true")] }));
    const waits = (pod: Pod | undefined) =>
      named(pod, "sidecar")?.state.waiting?.reason === "CreateContainerConfigError";
    const pod = await untilPod(node, "sidecar", waits);
    expect(named(pod, "sidecar")?.state.waiting?.message).toContain("does not offer containers with a restartPolicy");
    expect(pod.status?.phase).toBe("Pending");
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "sidecar" });
    await untilPod(node, "sidecar", gone);
  });

  test("one of two that fails starts again, the other is left alone and its end counts", async () => {
    const flag = `${root}/shared/flag`;
    const twice = `[ -e ${flag} ] || { touch ${flag}; printf broken > ${terminationLog}; exit 4; }; touch ${root}/shared/over`;
    const waits = `while ! [ -e ${root}/shared/over ]; do sleep 0.05; done`;
    await createPod(node, podOf("twice", { main: [worker("a", twice), worker("b", waits)] }));
    const done = await untilPod(node, "twice", phase("Succeeded"));
    expect(named(done, "a")).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 4, message: "broken" } },
    });
    expect(named(done, "b")?.restartCount).toBe(0);
  });

  test("a restarted node does not initialize again, and finds what the pod had", async () => {
    const endless = 'trap "exit 1" TERM; sleep 1000 & wait';
    const init = [worker("init", `echo init >> ${root}/shared/lines`)];
    const main = [
      worker("a", `cat ${root}/shared/lines; ${endless}`),
      worker("b", `[ -e ${root}/shared/b ] || { touch ${root}/shared/b; echo left; ${endless}; }`),
    ];
    await createPod(node, podOf("kept", { init, main }));
    await untilPod(node, "kept", (pod) => pod?.status?.phase === "Running");
    await expect.poll(() => logOf(node, "kept", { container: "a" }), { timeout: 10_000 }).toBe("init\n");
    await expect.poll(() => logOf(node, "kept", { container: "b" }), { timeout: 10_000 }).toBe("left\n");
    await node.restart();
    await untilPod(node, "kept", (pod) => named(pod, "b")?.state.terminated?.exitCode === 0);
    await expect.poll(() => logOf(node, "kept", { container: "a" }), { timeout: 10_000 }).toBe("init\n");
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "kept" });
    await untilPod(node, "kept", gone);
  });
});
