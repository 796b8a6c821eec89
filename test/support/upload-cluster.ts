// What tests of uploads into an embedded cluster start with: the cluster, a virtctl of our own over it, images, the proxy's address
// and authority, and curl to it.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll } from "vitest";
import type { ConfigMap } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import { bundleKey, signers } from "../../src/contract/install-names.ts";
import { cdiNamespace, type Embedded } from "../../src/embedded/index.ts";
import { removeDir, temporaryDir } from "./cdi-up.ts";
import { history, isReady, startCluster } from "./cluster.ts";
import { runText } from "./run-text.ts";
import { makeSparseImage } from "./sparse-image.ts";
import { virtctlOver } from "./virtctl-client.ts";

const run = promisify(execFile);
export const mib = 1024 * 1024;
/** What disk.img and disk.qcow2 hold. */
export const image = makeSparseImage(8 * mib, 30, 23);

export interface UploadCluster {
  readonly cluster: Embedded & { dir: string };
  readonly virtctl: ReturnType<typeof virtctlOver>;
  /** PEM, of the proxy's authority; also in ca.pem. */
  readonly ca: string;
  /** Of the proxy. */
  readonly url: string;
  /** disk.img, disk.qcow2, tree.tar, garbage.qcow2, ca.pem, kubeconfig, and what a test puts there. */
  readonly file: (name: string) => string;
}

/** There from beforeAll on. */
export function useUploadCluster(): () => UploadCluster {
  const release: (() => Promise<void>)[] = [];
  let made: UploadCluster | undefined;
  beforeAll(async () => {
    const cluster = await startCluster((act) => release.push(act), { maxRunning: 4 });
    const dir = await temporaryDir();
    release.push(() => removeDir(dir));
    const file = (name: string): string => join(dir, name);
    await writeFile(file("disk.img"), image);
    await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", file("disk.img"), file("disk.qcow2")]);
    await mkdir(file("tree/sub"), { recursive: true });
    await writeFile(file("tree/sub/hello"), "hello from the tree\n");
    await run("tar", ["-C", file("tree"), "-cf", file("tree.tar"), "."]);
    await writeFile(file("garbage.qcow2"), randomBytes(mib));
    const url = await cluster.uploadUrl;
    const ref = { kind: kinds.configMap, namespace: cdiNamespace, name: signers.uploadProxy.bundle };
    const ca = ((await cluster.client.get(ref)) as ConfigMap | undefined)?.data?.[bundleKey] ?? "";
    await writeFile(file("ca.pem"), ca);
    await writeFile(file("kubeconfig"), cluster.kubeconfig, { mode: 0o600 });
    made = { cluster, virtctl: virtctlOver(cluster.kubeconfig), ca, url, file };
  }, 120_000);
  afterAll(async () => {
    for (const act of release.reverse()) await act();
  });
  return () => {
    if (!made) throw new Error("not yet made");
    return made;
  };
}

export const volumeOf = async ({ cluster }: UploadCluster, name: string): Promise<DataVolume> =>
  (await cluster.client.get({ kind: kinds.dataVolume, namespace: "default", name })) as DataVolume;

export const untilSucceeded = ({ cluster }: UploadCluster, name: string): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, isReady);

/** With its claim. */
export async function emptyVolume({ cluster }: UploadCluster, name: string, more: object = {}, size = "16Mi") {
  const object = {
    apiVersion: kinds.dataVolume.apiVersion,
    kind: kinds.dataVolume.kind,
    metadata: { namespace: "default", name },
    spec: { source: { upload: {} }, storage: { resources: { requests: { storage: size } }, ...more } },
  };
  await cluster.client.create(object, kinds.dataVolume);
  await history(cluster, kinds.claim, name, () => true);
}

/** @returns a token for it */
export async function readyVolume(on: UploadCluster, name: string, more: object = {}, size = "16Mi"): Promise<string> {
  await emptyVolume(on, name, more, size);
  await untilUploadReady(on, name);
  return on.virtctl.token({ style: "new", name });
}

export const untilUploadReady = ({ cluster }: UploadCluster, name: string): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, ({ status }) => status?.phase === "UploadReady");

/** curl through the proxy: "code body". */
export async function curl({ url, file }: UploadCluster, path: string, ...args: string[]): Promise<string> {
  const always = ["-sS", "--cacert", file("ca.pem"), "-w", "\n%{http_code}"];
  const out = await runText("curl", [...always, ...args, `${url}${path}`]);
  const at = out.lastIndexOf("\n");
  return `${out.slice(at + 1)} ${out.slice(0, at)}`.trim();
}

export const bearer = (token: string): string[] => ["-H", `Authorization: Bearer ${token}`];
export const post = ({ file }: UploadCluster, name: string): string[] => ["-X", "POST", "-T", file(name)];
