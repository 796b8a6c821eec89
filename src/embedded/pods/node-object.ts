// The one Node of embedded mode, as an object that kubectl can show.
import { arch, cpus, hostname, release, totalmem } from "node:os";
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../../kube/index.ts";
import { stamp, type Clock } from "../../lib/clock.ts";

const goArch: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export async function publishNode(client: KubeClient, name: string, clock: Clock): Promise<void> {
  const architecture = goArch[arch()] ?? arch();
  const labels = { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture };
  const node: KubeObject = { apiVersion: "v1", kind: "Node", metadata: { name, labels }, spec: {} };
  const resources = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: "110" };
  const now = stamp(clock.now());
  const message = "the node is this process";
  const ready = { type: "Ready", status: "True", reason: "KubeletReady", message, lastHeartbeatTime: now };
  const status = {
    capacity: resources,
    allocatable: resources,
    conditions: [{ ...ready, lastTransitionTime: now }],
    addresses: [
      { type: "InternalIP", address: "127.0.0.1" },
      { type: "Hostname", address: hostname() },
    ],
    nodeInfo: {
      architecture,
      operatingSystem: "linux",
      kernelVersion: release(),
      osImage: "embedded",
      containerRuntimeVersion: "process://1",
      kubeletVersion: "embedded",
    },
  };
  await client.create(node, kinds.node).catch((cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
  });
  await client.patch({ kind: kinds.node, name }, { status }, { type: "merge", subresource: "status" });
}
