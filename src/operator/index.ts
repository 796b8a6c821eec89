// The operator room's door: manifests as pure functions.
export { controllerManifest, rightsManifest } from "./manifests/controller.ts";
export { readyFile } from "./manifests/controller-deployment.ts";
export { apiServerName, controllerAccount, leaderLease, uploadProxyName, type Install } from "./manifests/install.ts";
