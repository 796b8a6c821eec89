// Pods as child processes, on both roads where this user can take them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import {
  aPod,
  createPod,
  filesUnder,
  firstStatus,
  gone,
  isRoot,
  logOf,
  phase,
  running,
  startTestNode,
  tracesOf,
  untilPod,
  type TestNode,
} from "./node.ts";

const roads = isRoot ? (["device", "folder"] as const) : (["folder"] as const);

describe.each(roads)("on the %s road", (road) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startTestNode({ road, backoff: { baseMs: 200, capMs: 400 } });
  });
  afterAll(async () => {
    await node.close();
    expect(await tracesOf(node.dir)).toEqual([]);
  });
  const terminationLog = "${CDI_ROOT:-}/dev/termination-log";

  test("a pod runs to its end: phase, exit, message, log, events", async () => {
    await createPod(node, aPod("plain", `echo out; echo err >&2; printf done > ${terminationLog}`));
    const pod = await untilPod(node, "plain", phase("Succeeded"));
    const { state, restartCount, ready } = firstStatus(pod) ?? {};
    expect({ restartCount, ready }).toEqual({ restartCount: 0, ready: false });
    expect(state?.terminated).toMatchObject({ exitCode: 0, reason: "Completed", message: "done" });
    expect(pod.status?.podIP).toMatch(/^127\./);
    expect(pod.status?.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
      "Initialized=True",
      "Ready=False",
      "ContainersReady=False",
      "PodScheduled=True",
    ]);
    expect((await logOf(node, "plain")).split("\n").sort()).toEqual(["", "err", "out"]);
    await expect
      .poll(async () => {
        const { items } = await node.client.list(kinds.event, { namespace: "default" });
        const about = items.filter((one) => (one["involvedObject"] as { name: string }).name === "plain");
        return about.map((one) => `${String(one["reason"])}: ${String(one["message"])}`).sort();
      })
      .toEqual([
        "Created: Created container main",
        'Pulled: Container image "sh" already present on machine',
        "Scheduled: Successfully assigned default/plain to embedded",
        "Started: Started container main",
      ]);
  });

  test("a failing container restarts at once, then backs off, with the kubelet's words", async () => {
    const created = await createPod(node, aPod("crash", `echo "try" ; printf broken > ${terminationLog}; exit 77`));
    const waiting = await untilPod(
      node,
      "crash",
      (pod) => firstStatus(pod)?.state.waiting?.reason === "CrashLoopBackOff",
    );
    const status = firstStatus(waiting);
    expect(status?.restartCount).toBe(1);
    expect(status?.lastState.terminated).toMatchObject({ exitCode: 77, reason: "Error", message: "broken" });
    expect(status?.state.waiting?.message).toBe(
      `back-off 200ms restarting failed container=main pod=crash_default(${created.metadata.uid})`,
    );
    expect(waiting.status?.phase).toBe("Running");
    await untilPod(node, "crash", (pod) => (firstStatus(pod)?.restartCount ?? 0) >= 3);
    expect(await logOf(node, "crash", { previous: true })).toBe("try\n");
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "crash" });
    await untilPod(node, "crash", gone);
  });

  test("without a message, a failure tells the end of its log if asked", async () => {
    const pod = aPod("words", "echo last words >&2; exit 3", { restartPolicy: "Never" });
    const [container] = pod.spec.containers;
    if (container) container.terminationMessagePolicy = "FallbackToLogsOnError";
    await createPod(node, pod);
    const ended = await untilPod(node, "words", phase("Failed"));
    expect(firstStatus(ended)?.state.terminated).toMatchObject({ exitCode: 3, message: "last words\n" });
  });

  test("deleting a running pod stops it, grandchildren too, and leaves no file", async () => {
    const created = await createPod(node, aPod("long", "sleep 1000 & sleep 1000 & wait"));
    await untilPod(node, "long", running);
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "long" });
    await untilPod(node, "long", gone);
    expect(
      (await filesUnder(join(node.dir, "pods"))).filter((file) => file.includes(created.metadata.uid ?? "?")),
    ).toEqual([]);
    expect((await tracesOf(node.dir)).filter((trace) => trace.includes(created.metadata.uid ?? "?"))).toEqual([]);
  });

  test("a missing secret holds the container, and it goes on when it appears", async () => {
    const pod = aPod("wants", 'echo "$WORD $NAME $IP"; cat "${CDI_ROOT:-}/keys/word"; ls -a "${CDI_ROOT:-}/keys/"', {
      volumes: [{ name: "keys", secret: { secretName: "late" } }],
    });
    const [container] = pod.spec.containers;
    if (container) {
      container.volumeMounts = [{ name: "keys", mountPath: "/keys" }];
      container.env = [
        { name: "WORD", valueFrom: { secretKeyRef: { name: "late", key: "word" } } },
        { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      ];
      container.securityContext = { runAsUser: 107 };
    }
    pod.spec.securityContext = { fsGroup: 107 };
    await createPod(node, pod);
    const waiting = await untilPod(
      node,
      "wants",
      (seen) => firstStatus(seen)?.state.waiting?.reason === "CreateContainerConfigError",
    );
    expect(firstStatus(waiting)?.state.waiting?.message).toBe('secret "late" not found');
    const data = { word: Buffer.from("hidden").toString("base64") };
    await node.client.create(
      { apiVersion: "v1", kind: "Secret", metadata: { name: "late", namespace: "default" }, data },
      kinds.secret,
    );
    const ended = await untilPod(node, "wants", phase("Succeeded"));
    const log = await logOf(node, "wants");
    expect(log).toContain(`hidden wants ${ended.status?.podIP}\nhidden`);
    expect(log).toContain("..data");
  });

  test("an unknown image waits", async () => {
    const pod = aPod("alien", "true");
    const [container] = pod.spec.containers;
    if (container) container.image = "nowhere/nothing:1";
    await createPod(node, pod);
    await untilPod(node, "alien", (seen) => firstStatus(seen)?.state.waiting?.reason === "ImagePullBackOff");
    await expect(logOf(node, "alien")).rejects.toThrow(
      'container "main" in pod "alien" is waiting to start: ImagePullBackOff',
    );
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "alien" });
    await untilPod(node, "alien", gone);
  });

  test("init containers run first, in order", async () => {
    const pod = aPod("steps", "cat ${CDI_ROOT:-}/shared/steps", { volumes: [{ name: "shared", emptyDir: {} }] });
    const [main] = pod.spec.containers;
    if (!main) throw new Error("no container");
    main.volumeMounts = [{ name: "shared", mountPath: "/shared" }];
    const step = (word: string) => ({ ...main, name: word, args: [`echo ${word} >> "$CDI_ROOT/shared/steps"`] });
    pod.spec.initContainers = [step("one"), step("two")];
    await createPod(node, pod);
    await untilPod(node, "steps", phase("Succeeded"));
    expect(await logOf(node, "steps")).toBe("one\ntwo\n");
    expect(await logOf(node, "steps", { container: "two" })).toBe("");
  });

  test("a mount's path is read from the container's root, and leads no further up", async () => {
    const outside = join(node.dir, "pods/climbed");
    const pod = aPod("climbs", 'echo in > "$CDI_ROOT/climbed/file"; cat "$CDI_ROOT/beside/file"', {
      volumes: [{ name: "shared", emptyDir: {} }],
    });
    const [main] = pod.spec.containers;
    if (!main) throw new Error("no container");
    main.volumeMounts = ["/../../../../climbed", "beside/"].map((mountPath) => ({ name: "shared", mountPath }));
    await createPod(node, pod);
    await untilPod(node, "climbs", phase("Succeeded"));
    expect(await logOf(node, "climbs")).toBe("in\n");
    await expect(readFile(join(outside, "file"))).rejects.toThrow("ENOENT");
  });

  test.skipIf(road !== "device")("a pod's variables do not steer the tools that take its rights away", async () => {
    const pod = aPod("preload", "echo started");
    const [main] = pod.spec.containers;
    if (!main) throw new Error("no container");
    main.env = [{ name: "LD_PRELOAD", value: "/data/evil.so" }];
    await createPod(node, pod);
    await untilPod(node, "preload", phase("Succeeded"));
    // Complained of once, by the program itself: who loads it has no rights any more.
    const log = await logOf(node, "preload");
    expect(log).toContain("started\n");
    expect(log.match(/'\/data\/evil\.so' from LD_PRELOAD/g)).toHaveLength(1);
  });

  test("logs are followed while it runs, with times, from the tail", async () => {
    await createPod(node, aPod("talk", "echo a; echo b; sleep 0.3; echo c"));
    await untilPod(node, "talk", running);
    expect(await logOf(node, "talk", { follow: true })).toBe("a\nb\nc\n");
    expect(await logOf(node, "talk", { tailLines: 1 })).toBe("c\n");
    expect(await logOf(node, "talk", { tailLines: 1, timestamps: true })).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z c\n$/);
    await expect(logOf(node, "talk", { previous: true })).rejects.toThrow("previous terminated container");
  });

  test("a restarted node counts its pods' containers as died and runs them again", async () => {
    await createPod(node, aPod("again", "sleep 1000"));
    await untilPod(node, "again", running);
    await node.restart();
    const pod = await untilPod(node, "again", (seen) => firstStatus(seen)?.restartCount === 1 && running(seen));
    expect(firstStatus(pod)?.lastState.terminated?.reason).toBe("ContainerStatusUnknown");
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "again" });
    await untilPod(node, "again", gone);
  });

  test.skipIf(road !== "device")("a pod sees only its own world, as its own user, without capabilities", async () => {
    const script =
      "exec 2>&1; id -u; id -G; ls /; grep CapBnd /proc/self/status; echo $$$$; touch /usr/x || true; ls /tmp; cat /proc/1/cmdline | tr '\\0' ' '";
    await createPod(node, aPod("inside", script, { securityContext: { fsGroup: 107, supplementalGroups: [5] } }));
    await untilPod(node, "inside", phase("Succeeded"));
    const log = await logOf(node, "inside");
    expect(log).toMatch(/^107\n107 5\n/);
    expect(log).toContain("CapBnd:\t0000000000000000\n1\n");
    expect(log).toContain("touch: cannot touch '/usr/x'");
    expect(log).not.toContain("srv");
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(node.dir);
  });
});
