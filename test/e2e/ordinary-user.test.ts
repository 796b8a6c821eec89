// `cdi up` as an ordinary user: no mounts, no loop devices; folders and plain files stand in (design.md section 5).
import { chown, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeDir, startCdiUp, temporaryDir } from "../support/cdi-up.ts";
import { startHttpServer } from "../support/http-server.ts";
import { asOrdinaryUser, noOrdinaryUser, ordinaryUser } from "../support/ordinary-user.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(16 * mib, 50, 9);
const isRoot = process.getuid?.() === 0;

async function startAsOrdinaryUser() {
  const dir = await temporaryDir();
  if (isRoot) await chown(dir, ordinaryUser, ordinaryUser);
  const up = await startCdiUp({ dir, prefix: [...asOrdinaryUser], env: { HOME: dir } });
  const end = async (): Promise<void> => {
    await up.stop();
    await removeDir(dir);
  };
  return { up, end };
}

test.skipIf(noOrdinaryUser !== undefined).each(["Filesystem", "Block"])("imports into a %s volume", async (mode) => {
  const server = await startHttpServer({ files: { "/disk.img": image } });
  const { up, end } = await startAsOrdinaryUser();
  try {
    const manifest = JSON.stringify({
      apiVersion: "cdi.kubevirt.io/v1beta1",
      kind: "DataVolume",
      metadata: { name: "plain" },
      spec: {
        source: { http: { url: server.url("/disk.img") } },
        pvc: { accessModes: ["ReadWriteOnce"], volumeMode: mode, resources: { requests: { storage: "64Mi" } } },
      },
    });
    await up.kubectlWith(manifest, "apply", "-f", "-");
    await up.kubectl("wait", "--for=condition=Ready", "dv/plain", "--timeout=40s");
    const path = await up.kubectl("get", "pv", "-o", "jsonpath={.items[0].spec.local.path}");
    const disk = await readFile((await stat(path)).isDirectory() ? join(path, "disk.img") : path);
    expect(disk.subarray(0, image.length).equals(image)).toBe(true);
    await up.kubectl("delete", "dv", "plain", "--timeout=20s");
    await expect.poll(() => stat(path).catch(() => undefined), { timeout: 10_000 }).toBeUndefined();
  } finally {
    await end();
  }
});

test.skipIf(noOrdinaryUser !== undefined)("node pull says that it takes root, and can be given up", async () => {
  const { up, end } = await startAsOrdinaryUser();
  try {
    const manifest = JSON.stringify({
      apiVersion: "cdi.kubevirt.io/v1beta1",
      kind: "DataVolume",
      metadata: { name: "pulled" },
      spec: {
        source: { registry: { url: "docker://localhost:1/vm/disk:1", pullMethod: "node" } },
        pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "64Mi" } } },
      },
    });
    await up.kubectlWith(manifest, "apply", "-f", "-");
    const running = 'jsonpath={.status.conditions[?(@.type=="Running")].message}';
    await expect
      .poll(() => up.kubectl("get", "dv", "pulled", "-o", running), { timeout: 40_000 })
      .toBe("failed to pull image: localhost:1/vm/disk:1");
    const waits = 'jsonpath={.status.containerStatuses[?(@.name=="server")].state.waiting.message}';
    expect(await up.kubectl("get", "pod", "importer-pulled", "-o", waits)).toContain(
      "it runs no others: that takes root and mount namespaces",
    );
    await up.kubectl("delete", "dv", "pulled", "--timeout=30s");
  } finally {
    await end();
  }
});
