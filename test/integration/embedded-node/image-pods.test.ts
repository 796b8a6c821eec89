// Pods with a container in an image of others, out of a real registry: what it sees there, who it is, and what is said when it
// cannot be had.
import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { Container, ContainerStatus, Pod } from "../../../src/embedded/pods/pod-types.ts";
import { buildImage, diskImage, packLayer } from "../../support/container-disk.ts";
import { seededBytes } from "../../support/images.ts";
import { noRegistry, startRegistry, type Registry } from "../../support/registry.ts";
import { ensureBuilt } from "../importer/world.ts";
import { toolsImage, toolsOfThisMachine } from "../../support/tools-image.ts";
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

const puller = [process.execPath, join(import.meta.dirname, "../../../dist/imagepull.js")];
const disk = seededBytes(300_000, "containerDisk");
const shared = [{ name: "shared", mountPath: "/shared" }];
const patient = { timeout: 10_000 };
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);

// Taken along by the init container: the image has nothing but a disk.
const tools = toolsOfThisMachine(["sh", "cat", "ls", "id", "touch", "sleep", "env"], "/shared");
const copy = tools.files.map(([from, to]) => `mkdir -p $(dirname ${to}); cp -L ${from} ${to}`).join("; ");
const { run } = tools;

const init: Container = { name: "init", image: "sh", args: [copy], volumeMounts: shared };
/** A container in the image; in its script a word "@name" is one of the tools. */
const inImage = (image: string, script: string, more: Partial<Container> = {}): Container => ({
  name: "server",
  image,
  command: `${run("sh")} -c`.split(" "),
  args: [script.replaceAll(/@(\w+)/g, (_, name: string) => run(name))],
  volumeMounts: shared,
  ...more,
});
function podOf(name: string, containers: readonly Container[], spec: Partial<Pod["spec"]> = {}): Pod {
  const pod = aPod(name, "", { volumes: [{ name: "shared", emptyDir: {} }], initContainers: [init] });
  Object.assign(pod.spec, { securityContext: { runAsUser: 107, fsGroup: 107 }, containers: [...containers], ...spec });
  return pod;
}
const serverOf = (pod: Pod | undefined): ContainerStatus | undefined =>
  pod?.status?.containerStatuses?.find(({ name }) => name === "server");
const waitsFor = (reason: string) => (pod: Pod | undefined) => serverOf(pod)?.state.waiting?.reason === reason;

describe.skipIf(!isRoot || noRegistry !== undefined)("in images of a registry", () => {
  let node: TestNode;
  let registry: Registry;
  const images = (): Promise<string[]> => readdir(join(node.dir, "images"));
  const drop = async (name: string): Promise<void> => {
    await node.client.delete({ kind: kinds.pod, namespace: "default", name });
    await untilPod(node, name, gone);
  };
  const eventsOf = async (name: string): Promise<string[]> => {
    const { items } = await node.client.list(kinds.event, { namespace: "default" });
    const mine = items.filter((one) => (one["involvedObject"] as { name: string }).name === name);
    return mine.map((one) => `${String(one["type"])} ${String(one["reason"])}: ${String(one["message"])}`);
  };

  beforeAll(async () => {
    ensureBuilt();
    registry = await startRegistry({}, atEnd);
    const env = ["FROM_IMAGE=yes", "LD_PRELOAD=/disk/disk.img", "PATH=/image/bin", "HOSTNAME=image"];
    await registry.push("vm/disk", "1", await diskImage(disk, { env }));
    const layer = await packLayer({ "disk/": "", "disk/disk.img": disk, "var/": "", "var/old": "old" });
    await registry.push("vm/root", "latest", buildImage({ layers: [layer] }));
    node = await startTestNode({ backoff: { baseMs: 300, capMs: 600 }, pull: { puller, dir: "" } });
    atEnd(async () => {
      await node.close();
      expect(await tracesOf(node.dir)).toEqual([]);
    });
  });
  afterAll(async () => {
    for (const act of release.reverse()) await act();
  });

  test("an init container's tools run in the image, beside another container, and both end well", async () => {
    const look =
      "exec 2>&1; @ls -a /; @ls -ln /disk; @id; @cat /etc/hosts; echo $FROM_IMAGE $PATH $HOSTNAME; @cat /disk/disk.img > /shared/copy; " +
      "@cat /proc/self/status; @touch /disk/new && echo written; @ls /proc/1/root && echo escaped; " +
      "printf served > /dev/termination-log; @touch /shared/done";
    const silenced = { env: [{ name: "LD_PRELOAD", value: "" }] };
    const server = inImage(`${registry.host}/vm/disk:1`, look, silenced);
    const waits: Container = {
      name: "importer",
      image: "sh",
      args: ["while ! [ -e /shared/done ]; do sleep 0.05; done; stat -c %s /shared/copy"],
      volumeMounts: shared,
    };
    await createPod(node, podOf("pull", [waits, server]));
    const pod = await untilPod(node, "pull", phase("Succeeded"));
    expect(await logOf(node, "pull", { container: "importer" })).toBe(`${disk.length}\n`);
    const log = await logOf(node, "pull", { container: "server" });
    // Of the image: its disk. Of the node: what every container has, and nothing of this machine.
    expect(log.split("\n").slice(0, 12)).toEqual([
      ".",
      "..",
      ".cdi",
      "dev",
      "disk",
      "etc",
      "proc",
      "shared",
      "sys",
      "tmp",
      expect.stringMatching(/^total \d+$/),
      expect.stringMatching(/107\s+107 300000/),
    ]);
    expect(log).toContain("uid=107 gid=107 groups=107");
    expect(log).toContain(`${pod.status?.podIP} localhost`);
    expect(log).toContain("yes /image/bin pull");
    expect(log).toMatch(/CapPrm:\t0{16}\nCapEff:\t0{16}\nCapBnd:\t0{16}/);
    expect(log).toMatch(/NoNewPrivs:\t1/);
    expect(log).not.toContain("written");
    expect(log).toContain("cannot access '/proc/1/root': Permission denied");
    expect(log).not.toContain("escaped");
    expect(serverOf(pod)?.imageID).toMatch(new RegExp(`^${registry.host}/vm/disk@sha256:`));
    expect(serverOf(pod)?.state.terminated).toMatchObject({ exitCode: 0, reason: "Completed", message: "served" });
    await expect
      .poll(() => eventsOf("pull"), patient)
      .toEqual(
        expect.arrayContaining([
          `Normal Pulling: Pulling image "${registry.host}/vm/disk:1"`,
          expect.stringMatching(
            /^Normal Pulled: Successfully pulled image ".*" in [\d.]+s \(.*\)\. Image size: 300000 bytes\.$/,
          ),
        ]),
      );
    // Nobody uses it any more.
    await expect.poll(images, patient).toEqual([]);
  });

  test("an image that brings its own program: its words, user and folder, and a root that can be written", async () => {
    const script = 'echo "$0 $1 $FROM"; pwd; TOOL id -g; echo x > /tmp/new && echo kept in memory';
    const { image } = await toolsImage(["sh", "id"], (inside) => ({
      env: ["FROM=image"],
      run: {
        Entrypoint: [...inside("sh").split(" "), "-c", script.replaceAll("TOOL id", inside("id"))],
        Cmd: ["said", "by the image"],
        User: "1234:2345",
        WorkingDir: "/srv/here",
      },
    }));
    await registry.push("vm/own", "1", image);
    const container = { name: "main", image: `${registry.host}/vm/own:1` };
    const pod = podOf("own", [container], { initContainers: [], securityContext: {} });
    await createPod(node, pod);
    await untilPod(node, "own", phase("Succeeded"));
    expect(await logOf(node, "own")).toBe("said by the image image\n/srv/here\n2345\nkept in memory\n");
    const args = ["said", "by the pod"];
    await createPod(
      node,
      podOf("args", [{ ...container, args, workingDir: "/tmp" }], { initContainers: [], securityContext: {} }),
    );
    await untilPod(node, "args", phase("Succeeded"));
    expect(await logOf(node, "args")).toContain("said by the pod image\n/tmp\n");
    const sealed = { ...container, securityContext: { readOnlyRootFilesystem: true } };
    await createPod(
      node,
      podOf("sealed", [sealed], { initContainers: [], securityContext: {}, restartPolicy: "Never" }),
    );
    await untilPod(node, "sealed", phase("Failed"));
    expect(await logOf(node, "sealed")).toContain("/tmp/new: Read-only file system");
  });

  test("variables of the image reach its program only, not what starts it", async () => {
    // A library that does not exist is complained of by whoever was made to load it.
    const server = inImage(`${registry.host}/vm/disk:1`, "echo started");
    await createPod(node, podOf("preload", [server]));
    await untilPod(node, "preload", phase("Succeeded"));
    const log = await logOf(node, "preload");
    expect(log).toContain("started");
    expect(log.match(/LD_PRELOAD/g)).toHaveLength(1);
  });

  test("a failing container starts again in the image it had; a stop reaches the program", async () => {
    const script =
      "[ -e /shared/twice ] || { @touch /shared/twice; exit 5; }; trap 'exit 9' TERM; echo waiting; while :; do @sleep 0.1; done";
    const server = inImage(`${registry.host}/vm/root`, script, { imagePullPolicy: "IfNotPresent" });
    await createPod(node, podOf("again", [server], { terminationGracePeriodSeconds: 20 }));
    const pod = await untilPod(
      node,
      "again",
      (seen) => serverOf(seen)?.restartCount === 1 && !!serverOf(seen)?.state.running,
    );
    expect(serverOf(pod)?.lastState.terminated).toMatchObject({ exitCode: 5, reason: "Error" });
    const { items } = await node.client.list(kinds.event, { namespace: "default" });
    const pulls = items.filter((one) => one["reason"] === "Pulling" && String(one["message"]).includes("/vm/root"));
    expect(pulls.map(({ count }) => count)).toEqual([1]);
    expect(await images()).toHaveLength(1);
    await expect.poll(() => logOf(node, "again"), patient).toBe("waiting\n");
    await node.client.delete({ kind: kinds.pod, namespace: "default", name: "again" });
    await untilPod(node, "again", (seen) => seen === undefined || serverOf(seen)?.state.terminated?.exitCode === 9);
    await untilPod(node, "again", gone);
    await expect.poll(images, patient).toEqual([]);
  });

  test("two pods share what one pulled, and it goes with the last", async () => {
    const endless = inImage(`${registry.host}/vm/disk:1`, "while :; do @sleep 0.1; done");
    for (const name of ["first", "second"]) await createPod(node, podOf(name, [endless]));
    for (const name of ["first", "second"])
      await untilPod(node, name, (pod) => serverOf(pod)?.state.running !== undefined);
    expect(await images()).toHaveLength(1);
    await drop("first");
    expect(await images()).toHaveLength(1);
    await drop("second");
    await expect.poll(images, patient).toEqual([]);
  });

  test("an image that appears later is pulled then", async () => {
    const image = `${registry.host}/vm/late:1`;
    await createPod(node, podOf("late", [inImage(image, "echo here")]));
    const waiting = await untilPod(node, "late", waitsFor("ImagePullBackOff"));
    expect(waiting.status?.phase).toBe("Pending");
    expect(serverOf(waiting)?.state.waiting?.message).toMatch(
      new RegExp(`^Back-off pulling image "${image}": ErrImagePull: failed to pull image: `),
    );
    await expect
      .poll(() => eventsOf("late"), patient)
      .toEqual(
        expect.arrayContaining([
          expect.stringMatching(`^Warning Failed: Failed to pull image "${image}": failed to pull image: `),
          "Warning Failed: Error: ErrImagePull",
          `Normal BackOff: Back-off pulling image "${image}"`,
          "Warning Failed: Error: ImagePullBackOff",
        ]),
      );
    expect(await images()).toEqual([]);
    await registry.push("vm/late", "1", await diskImage(disk));
    await untilPod(node, "late", phase("Succeeded"));
    expect(await logOf(node, "late")).toBe("here\n");
  });

  test.each<{ when: string; image: string; more?: Partial<Container>; reason: string; says: RegExp }>([
    {
      when: "a name that cannot be",
      image: "/VM/Disk:1",
      reason: "InvalidImageName",
      says: /^Failed to apply default image tag ".*": couldn't parse image name ".*": invalid reference format$/,
    },
    {
      when: "one that must be there and is not",
      image: "/vm/disk:1",
      more: { imagePullPolicy: "Never" },
      reason: "ErrImageNeverPull",
      says: /^Container image ".*\/vm\/disk:1" is not present with pull policy of Never$/,
    },
  ])("$when: $reason", async ({ image, more, reason, says }) => {
    const name = reason.toLowerCase();
    await createPod(node, podOf(name, [inImage(registry.host + image, "true", more)]));
    const pod = await untilPod(node, name, waitsFor(reason));
    expect(serverOf(pod)?.state.waiting?.message).toMatch(says);
    await drop(name);
  });

  test("an architecture by the pod's selector that the image does not have", async () => {
    const spec = { nodeSelector: { "kubernetes.io/arch": "s390x" } };
    await createPod(node, podOf("other", [inImage(`${registry.host}/vm/disk:1`, "true")], spec));
    const pod = await untilPod(node, "other", waitsFor("ImagePullBackOff"));
    expect(serverOf(pod)?.state.waiting?.message).toContain('doesn\'t match requested architecture: "s390x"');
    await drop("other");
  });

  test.each([
    { when: "root", spec: { securityContext: { runAsUser: 0 } }, says: "does not run an image's programs as root" },
    {
      when: "the image's user, which is root",
      spec: { securityContext: {} },
      says: "does not run an image's programs as root",
    },
  ])("as $when it does not start", async ({ when, spec, says }) => {
    const name = `as-${when.length}`;
    const pod = podOf(name, [inImage(`${registry.host}/vm/disk:1`, "true")], { ...spec, restartPolicy: "Never" });
    await createPod(node, pod);
    const failed = await untilPod(node, name, phase("Failed"));
    expect(serverOf(failed)?.state.terminated).toMatchObject({ exitCode: 128, reason: "StartError" });
    expect(serverOf(failed)?.state.terminated?.message).toContain(says);
  });

  test("a link of the image leads no mount out of it", async () => {
    const made = execFileSync("tar", ["--create", "--file=-", "--directory=/", "--transform=s,^bin$,shared,", "bin"]);
    // A merged /usr: /bin is a link, and in the image /shared is one.
    await registry.push("vm/link", "1", buildImage({ layers: [made] }));
    const pod = podOf("link", [inImage(`${registry.host}/vm/link:1`, "true")], { restartPolicy: "Never" });
    await createPod(node, pod);
    const failed = await untilPod(node, "link", phase("Failed"));
    expect(serverOf(failed)?.state.terminated?.message).toContain("/shared: /shared is a link in the image");
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(node.dir);
  });

  test("what an earlier node left is gone", async () => {
    const endless = inImage(`${registry.host}/vm/disk:1`, "while :; do @sleep 0.1; done");
    await createPod(node, podOf("kept", [endless]));
    await untilPod(node, "kept", (pod) => serverOf(pod)?.state.running !== undefined);
    const before = await images();
    await node.restart();
    await untilPod(node, "kept", (pod) => serverOf(pod)?.restartCount === 1 && !!serverOf(pod)?.state.running);
    const after = await images();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    await drop("kept");
  });
});

test("without root a pod with an image of others waits, and says why", async () => {
  const node = await startTestNode({ road: "folder", pull: { puller, dir: "" } });
  try {
    await createPod(node, podOf("folder", [inImage("127.0.0.1:1/vm/disk:1", "true")], { initContainers: [] }));
    const pod = await untilPod(node, "folder", waitsFor("ImagePullBackOff"));
    expect(serverOf(pod)?.state.waiting?.message).toContain("that takes root and mount namespaces");
  } finally {
    await node.close();
  }
});
