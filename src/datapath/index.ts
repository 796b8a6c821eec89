// The data path's door: from a Source to a committed Sink.
export { findTool, requireTool, runTool, spawnTool } from "./child.ts";
export type { CheckpointPlace } from "./checkpoint/keeper.ts";
export { parseChecksum, type Checksum } from "./checksum.ts";
export { readImageInfo, type ImageInfo } from "./image-info.ts";
export { importBlank, type BlankJob } from "./import-blank.ts";
export { importImage, type ImportDone, type ImportJob, type ImportOutcome } from "./import-image.ts";
export { peel, type Peeled } from "./peel.ts";
export { steadySource } from "./transfer/steady-source.ts";
export { newProgress, overallFraction, tellResumed } from "./progress.ts";
export type { TarEntry, TarExtent, TarPiece, TarType } from "./tar/entry.ts";
export { walkTar } from "./tar/walk.ts";
export { landsAsSent } from "./sniff.ts";
export type { ScratchPlace } from "./roads/road.ts";
export { scratchCheckpointPath } from "./roads/scratch-file.ts";
export {
  bearsData,
  blockSink,
  filesystemSink,
  type BlockSinkOptions,
  type FilesystemSinkOptions,
} from "./sinks/index.ts";
export type { Progress, Road, Sink, SinkResult, Source, SourceFacts, Stage } from "./types.ts";
export { importArchive, type ArchiveDone, type ArchiveJob } from "./import-archive.ts";
export { treeTarget, type TreeTarget, type TreeTargetOptions } from "./tree/tree-target.ts";
export { descend, Folder } from "./tree/folders.ts";
export { componentsOf } from "./tree/names.ts";
export { TreeWriter } from "./tree/tree-writer.ts";
