// Many pods at once: no more than allowed run, all get their turn, and an exit is told promptly.
import { afterEach, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import {
  aPod,
  createPod,
  gone,
  isRoot,
  phase,
  running,
  startTestNode,
  tracesOf,
  untilPod,
  type TestNode,
} from "./node.ts";
import type { Pod } from "../../../src/embedded/pods/pod-types.ts";

let node: TestNode;
afterEach(async () => {
  await node.close();
  expect(await tracesOf(node.dir)).toEqual([]);
});

test("twelve pods, two at a time", async () => {
  node = await startTestNode({ maxRunning: 2 });
  const names = Array.from({ length: 12 }, (_, index) => `p${String(index).padStart(2, "0")}`);
  const stop = new AbortController();
  let most = 0;
  const watching = (async () => {
    const runningNow = new Set<string>();
    for await (const { object } of node.client.watch(kinds.pod, { resourceVersion: "0", signal: stop.signal })) {
      const name = object.metadata.name ?? "";
      if (running(object as Pod)) runningNow.add(name);
      else runningNow.delete(name);
      most = Math.max(most, runningNow.size);
    }
  })().catch((cause: unknown) => {
    if (!stop.signal.aborted) throw cause;
  });
  await Promise.all(names.map((name) => createPod(node, aPod(name, "sleep 0.1"))));
  await Promise.all(names.map((name) => untilPod(node, name, phase("Succeeded"))));
  stop.abort();
  await watching;
  expect(most).toBe(2);
});

test("a pod waiting to restart does not keep others from running", async () => {
  node = await startTestNode({ maxRunning: 1, backoff: { baseMs: 60_000, capMs: 60_000 } });
  await createPod(node, aPod("broken", "exit 1"));
  await untilPod(
    node,
    "broken",
    (pod) => pod?.status?.containerStatuses?.[0]?.state.waiting?.reason === "CrashLoopBackOff",
  );
  await createPod(node, aPod("well", "true"));
  await untilPod(node, "well", phase("Succeeded"));
  await node.client.delete({ kind: kinds.pod, namespace: "default", name: "broken" });
  await untilPod(node, "broken", gone);
});

test("a pod whose one container waits for its image does not keep others from running", async () => {
  node = await startTestNode({ maxRunning: 1, backoff: { baseMs: 50, capMs: 100 } });
  const pod = aPod("stuck", "trap 'exit 1' TERM; sleep 1000 & wait");
  const [main] = pod.spec.containers;
  if (!main) throw new Error("no container");
  pod.spec.containers = [main, { ...main, name: "server", image: "nowhere/nothing:1" }];
  await createPod(node, pod);
  const states = (seen: Pod | undefined) => (seen?.status?.containerStatuses ?? []).map(({ state }) => state);
  await untilPod(node, "stuck", (seen) => {
    const [first, second] = states(seen);
    return first?.running !== undefined && second?.waiting?.reason === "ImagePullBackOff";
  });
  for (const name of ["a", "b", "c"]) {
    await createPod(node, aPod(name, "true"));
    await untilPod(node, name, phase("Succeeded"));
  }
  await node.client.delete({ kind: kinds.pod, namespace: "default", name: "stuck" });
  await untilPod(node, "stuck", gone);
});

test("an exit stands in the API soon after", async () => {
  node = await startTestNode();
  const root = isRoot ? "" : "$CDI_ROOT";
  await createPod(node, aPod("quick", `sleep 0.2; date +%s%3N > ${root}/dev/termination-log`));
  const pod = await untilPod(node, "quick", phase("Succeeded"));
  const lateMs = Date.now() - Number(pod.status?.containerStatuses?.[0]?.state.terminated?.message);
  expect(lateMs).toBeLessThan(500);
});
