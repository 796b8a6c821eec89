// Which storage class is meant when none is named (interfaces/storage-decisions.md section 2).
import { annotations } from "../../api/annotations.ts";
import type { StorageClass } from "../../api/core.ts";

/** `virt` prefers the class marked for virtual machine disks; everything but contentType kubevirt asks for `kubernetes`. */
export type DefaultFor = "virt" | "kubernetes";

export function defaultClassOf(classes: readonly StorageClass[], purpose: DefaultFor): StorageClass | undefined {
  const virt = purpose === "virt" ? newestWith(classes, annotations.defaultVirtClass) : undefined;
  return virt ?? newestWith(classes, annotations.defaultClass);
}

/** Several may be marked: the newest wins, of equally old ones the first by name. */
function newestWith(classes: readonly StorageClass[], mark: string): StorageClass | undefined {
  const marked = classes.filter((one) => one.metadata.annotations?.[mark] === "true");
  return marked.toSorted((a, b) => {
    const [ageA, ageB] = [a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? ""];
    if (ageA !== ageB) return ageA < ageB ? 1 : -1;
    return (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
  })[0];
}
