// Names inside a pod. Pods share this machine's network, so where several containers of one pod talk by "localhost", that name is
// the pod's own address: two pods with a server on the same port do not meet.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "./pod-types.ts";

const loopbackNames = [
  "localhost",
  "localhost.localdomain",
  "localhost4",
  "localhost6",
  "ip6-localhost",
  "ip6-loopback",
];

/** A hosts file in which the loopback's names lead to `podIp`, and every other name where it led. Pure. */
export function hostsOfPod(text: string, podIp: string): string {
  const others = text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const kept = names.filter((name) => !loopbackNames.includes(name.toLowerCase()));
    return kept.length > 0 ? [[address, ...kept].join(" ")] : [];
  });
  return [`${podIp} localhost`, ...others, ""].join("\n");
}

export const hasCompany = ({ spec }: Pod): boolean => spec.containers.length > 1;

export interface HostsWanted {
  pod: Pod;
  podIp: string;
  /** The node's, kept up to date with the names of Services; absent: the machine's. */
  hostsFile: string | undefined;
  /** The container's. */
  folder: string;
}

/** @returns the file a container is to find its names in: the node's, or for a pod of several containers one as things are now */
export async function hostsFileFor({ pod, podIp, hostsFile, folder }: HostsWanted): Promise<string | undefined> {
  if (!hasCompany(pod)) return hostsFile;
  const text = await readFile(hostsFile ?? "/etc/hosts", "utf8").catch(() => ""); // a machine without one
  const file = join(folder, "hosts");
  await writeFile(file, hostsOfPod(text, podIp), { mode: 0o644 });
  return file;
}
