// The application tree inside a pod: at its own path, read-only, and readable even when its owner closed it to others.
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { aPod, createPod, isRoot, logOf, phase, startTestNode, untilPod } from "./node.ts";

test.skipIf(!isRoot).each([
  { when: "open to all", folder: 0o755, file: 0o644, capabilities: "0000000000000000" },
  { when: "made with umask 077", folder: 0o700, file: 0o600, capabilities: "0000000000000004" },
])("an application $when runs as uid 107", async ({ folder, file, capabilities }) => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "cdi-app-")));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const script = join(dir, "app", "dist", "main.sh");
  await mkdir(join(dir, "app", "dist"), { recursive: true });
  await writeFile(script, `id -u; grep CapEff /proc/self/status; touch "$0.new" 2>/dev/null || echo sealed\n`);
  await chmod(script, file);
  await chmod(join(dir, "app", "dist"), folder);
  await chmod(join(dir, "app"), folder);
  const node = await startTestNode({ appDirs: [join(dir, "app")], images: { sh: ["/bin/sh", script] } });
  try {
    await createPod(node, aPod("app", "ignored", { containers: [{ name: "main", image: "sh" }] }));
    await untilPod(node, "app", phase("Succeeded"));
    expect(await logOf(node, "app")).toBe(`107\nCapEff:\t${capabilities}\nsealed\n`);
  } finally {
    await node.close();
  }
});

test("a program that does not exist is an exit like any other, a broken mount a StartError", async () => {
  const node = await startTestNode({ images: { sh: ["/bin/sh", "-c"], none: ["/no/such/program"] } });
  try {
    await createPod(node, aPod("none", "", { restartPolicy: "Never", containers: [{ name: "main", image: "none" }] }));
    const pod = await untilPod(node, "none", phase("Failed"));
    expect(pod.status?.containerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 127, reason: "Error" });
    const sub = [{ name: "x", mountPath: "/x", subPath: "y" }];
    const bad = aPod("bad", "true", { restartPolicy: "Never", volumes: [{ name: "x", emptyDir: {} }] });
    const [main] = bad.spec.containers;
    if (main) main.volumeMounts = sub;
    await createPod(node, bad);
    const failed = await untilPod(node, "bad", phase("Failed"));
    expect(failed.status?.containerStatuses?.[0]?.state.terminated).toMatchObject({
      exitCode: 128,
      reason: "StartError",
      message: "mount /x: this node does not offer subPath",
    });
  } finally {
    await node.close();
  }
});
