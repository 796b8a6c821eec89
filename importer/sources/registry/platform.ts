// Which image of an index is wanted, and whether a single one is: by Go's names of architectures. Pure.
import { Fault } from "../../../src/lib/faults.ts";
import type { Descriptor, ImageConfig, ImageIndex } from "./manifest.ts";

const goNames: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", loong64: "loong64" };

/** Go's name of an architecture that node names. */
export const goArchitecture = (nodeName: string): string => goNames[nodeName] ?? nodeName;

/** Variants in the order they are preferred; others come after. */
const preferredVariants: Readonly<Record<string, readonly string[]>> = {
  arm: ["v7", "v6", "v5", ""],
  arm64: ["v8", ""],
};

/** @throws Fault PlatformMissing with upstream's text */
export function chooseFromIndex({ manifests }: ImageIndex, architecture: string): Descriptor {
  const order = preferredVariants[architecture] ?? [""];
  const rank = ({ platform }: Descriptor): number => {
    const at = order.indexOf(platform?.variant ?? "");
    return at < 0 ? order.length : at;
  };
  const [best] = manifests
    .filter(({ platform }) => platform?.architecture === architecture && platform.os === "linux")
    .toSorted((a, b) => rank(a) - rank(b));
  if (best) return best;
  const offered = manifests.flatMap(({ platform }) => (platform?.architecture ? [platform.architecture] : []));
  const had = offered.length > 0 ? `; it has ${[...new Set(offered)].join(", ")}` : "";
  throw new Fault(
    "PlatformMissing",
    `Error retrieving image: no image found in image index for architecture "${architecture}", variant "", OS "linux"${had}`,
  );
}

/** @throws Fault PlatformMissing with upstream's text */
export function checkArchitecture({ architecture }: ImageConfig, requested: string): void {
  if (architecture === requested) return;
  throw new Fault(
    "PlatformMissing",
    `Error validating architecture: manifest image architecture: "${architecture}" doesn't match requested architecture: "${requested}"`,
  );
}
