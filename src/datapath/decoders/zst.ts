// zst by the zstd tool: node's decoder stops after the first frame of several, and says nothing of it (seen in 24.21).
import { decodeWithTool } from "./tool.ts";
import type { Decode } from "./index.ts";

/** The window of `zstd --long=27`; a frame that wants more is refused with zstd's own words. */
const windowMemory = "128MiB";

export const decodeZst: Decode = (input, signal) =>
  decodeWithTool("zst", "zstd", ["--decompress", "--stdout", "--quiet", "--no-progress", `--memory=${windowMemory}`], input, signal);
