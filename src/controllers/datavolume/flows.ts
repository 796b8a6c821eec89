// The flows of this release: who fills which DataVolume.
import type { DataVolume } from "../../api/data-volume.ts";
import type { Flow } from "./flow.ts";
import { importFlow } from "./import/flow.ts";
import { uploadFlow } from "./upload/flow.ts";

const flows: readonly Flow[] = [importFlow, uploadFlow];

/** @returns undefined for a source that is not handled yet */
export const flowOf = (dataVolume: DataVolume): Flow | undefined => flows.find((flow) => flow.isHandled(dataVolume));
