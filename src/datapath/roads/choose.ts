// Which road an image takes, from its head alone.
import { Fault } from "../../lib/faults.ts";
import type { Road } from "../types.ts";
import type { DiskFormat } from "../sniff.ts";
import type { RoadEnd, RoadJob } from "./road.ts";
import { goOnePass } from "./one-pass.ts";
import { goStaged } from "./staged.ts";
import { goStraight } from "./straight.ts";

/** How each disk format travels; one without a row is refused. Raw, ISO and tar go straight. */
const roadOf: Partial<Record<DiskFormat, Road>> = {
  qcow2: "one-pass",
  vmdk: "staged",
  vhd: "staged",
  vhdx: "staged",
  vdi: "staged",
  qed: "staged",
};
const drive: Partial<Record<Road, (job: RoadJob) => Promise<RoadEnd>>> = {
  straight: goStraight,
  "one-pass": goOnePass,
  staged: goStaged,
};

/** @param forced for a disk format that several roads lead to @throws Fault FormatUnsupported */
export function chooseRoad(
  disk: DiskFormat | undefined,
  forced?: "staged",
): { road: Road; go: (job: RoadJob) => Promise<RoadEnd> } {
  const road = disk === undefined ? "straight" : roadOf[disk] && (forced ?? roadOf[disk]);
  const go = road && drive[road];
  if (!road || !go)
    throw new Fault("FormatUnsupported", `the image is in format ${disk}, which this release does not convert`);
  return { road, go };
}
