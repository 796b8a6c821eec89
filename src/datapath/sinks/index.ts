// The sinks of the data path, and the questions asked about a target before one is chosen.
export { blockSink } from "./block.ts";
export type { BlockSinkOptions } from "./block.ts";
export { filesystemSink } from "./filesystem.ts";
export type { FilesystemSinkOptions } from "./filesystem.ts";
export { growthTargetOf, usableBytes } from "./growth.ts";
export { fullOrTooSmall, targetFault, tooSmall } from "./target-faults.ts";
export { allocatedBytesOf, bearsData } from "./target-space.ts";
