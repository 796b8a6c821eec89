// What an image's configuration says beside its layers: labels for the claim (interfaces/registry.md section 4), and whether it is
// one that boots by itself. Pure.
import { bootcRefused } from "../../../src/contract/image-texts.ts";
import { Fault } from "../../../src/lib/faults.ts";
import type { ImageConfig } from "./manifest.ts";

const mark = "KUBEVIRT_IO_";

/** Of lines "NAME=value", those that name a label of KubeVirt. */
export function labelsFromEnv(env: readonly string[]): Record<string, string> {
  const rows = env.flatMap((line) => {
    const [name = "", ...value] = line.split("=");
    const at = name.indexOf(mark);
    if (at < 0) return [];
    const before = name.slice(0, at).replace(/_+$/, "").replaceAll("_", ".");
    const after = name.slice(at + mark.length).replaceAll("_", "-");
    return [[`${before}${before ? "." : ""}kubevirt.io/${after}`.toLowerCase(), value.join("=")] as const];
  });
  return Object.fromEntries(rows);
}

/** @throws Fault ImageRefused with the beginning of upstream's text */
export function refuseBootable({ labels }: ImageConfig): void {
  if (labels["containers.bootc"] !== "1" && labels["ostree.bootable"] !== "1") return;
  throw new Fault("ImageRefused", bootcRefused);
}
