// Node pull as the importer sees it: the disk comes over http from a server in the same pod, which stands in the image under
// import. It says when it is ready, and waits to be told of the end (interfaces/registry.md section 5).
export { serverReady, type ServerReady } from "./ready.ts";
export { tellServer } from "./done.ts";
export { askServer, servedSource } from "./served-source.ts";
