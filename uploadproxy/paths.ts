// The proxy's paths and where each leads (interfaces/upload.md section 2.2). The proxy has no path for archives: the claim's
// content type says that a body is one.
import { tusIdOf, uploadRouteOf } from "../src/contract/upload-routes.ts";

export interface Way {
  /** As asked for, without query. */
  readonly path: string;
  readonly isResumable: boolean;
}

/** @returns undefined for a path that is not served */
export function wayOf(path: string): Way | undefined {
  if (tusIdOf(path) !== undefined) return { path, isResumable: true };
  const route = uploadRouteOf(path);
  return route && !route.isArchive ? { path, isResumable: false } : undefined;
}

/** The upload server's path. @param contentType the claim's annotation, undefined when it has none */
export function serverPathOf({ path, isResumable }: Way, contentType: string | undefined): string {
  if (contentType !== "archive" || isResumable) return path;
  return path.includes("alpha") ? "/v1alpha1/upload-archive" : "/v1beta1/upload-archive";
}
