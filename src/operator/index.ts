// The operator room's door: manifests as pure functions.
export { controllerManifest } from "./manifests/controller.ts";
export { readyFile } from "./manifests/controller-deployment.ts";
export { leaderLease, type Install } from "./manifests/install.ts";
