// Everything one `kubectl apply` needs for the controllers on a real cluster, in an order that applies cleanly.
import { controllerDeploymentFor } from "./controller-deployment.ts";
import { customResourcesFor } from "./custom-resources.ts";
import { namespaceFor } from "./namespace.ts";
import { apiServerFor } from "./apiserver.ts";
import { rbacFor } from "./rbac.ts";
import { uploadProxyFor } from "./upload-proxy.ts";
import type { Install } from "./install.ts";
import type { KubeObject } from "../../api/meta.ts";

export const controllerManifest = (install: Install): KubeObject[] => [
  namespaceFor(install),
  ...customResourcesFor(install),
  ...rbacFor(install),
  ...apiServerFor(install),
  ...uploadProxyFor(install),
  controllerDeploymentFor(install),
];

const rightsKinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/** Of all that, who the programs are and what they and the users may do. */
export const rightsManifest = (install: Install): KubeObject[] =>
  controllerManifest(install).filter(({ kind }) => rightsKinds.includes(kind));
