// What the upload proxy, the upload server and their clients agree on: ports, names, paths and headers
// (interfaces/upload.md sections 2 and 4).

/** HTTPS of the upload server, and of the proxy behind its Service. */
export const uploadPort = 8443;
/** Plain `/healthz` of an upload server started by a v1.56 controller. */
export const uploadHealthPortOld = 8080;
export const healthPath = "/healthz";

/** Common name of the proxy's client certificate, and CLIENT_NAME of an upload server that serves it. */
export const uploadClientName = "client.upload-server.cdi.kubevirt.io";

/** Header by which a clone's source says what it sends. */
export const contentTypeHeader = "x-cdi-content-type";
export const cloneContentTypes = ["filesystem-clone", "blockdevice-clone"] as const;
export type CloneContentType = (typeof cloneContentTypes)[number];

export const uploadVersions = ["v1beta1", "v1alpha1"] as const;

export interface UploadRoute {
  /** Path behind the version. */
  readonly name: string;
  /** Answers once the bytes are there and checked; what follows goes on behind the answer. */
  readonly isAsync: boolean;
  /** The bytes are the part named `file` of a multipart body. */
  readonly isForm: boolean;
  /** The bytes are a tar for the volume's root. */
  readonly isArchive: boolean;
}

/** The routes of one POST each, for every version. */
export const uploadRoutes: readonly UploadRoute[] = [
  { name: "upload", isAsync: false, isForm: false, isArchive: false },
  { name: "upload-async", isAsync: true, isForm: false, isArchive: false },
  { name: "upload-archive", isAsync: false, isForm: false, isArchive: true },
  { name: "upload-form", isAsync: false, isForm: true, isArchive: false },
  { name: "upload-form-async", isAsync: true, isForm: true, isArchive: false },
];

/** @param path without query @returns the route of a path such as /v1beta1/upload-async */
export function uploadRouteOf(path: string): UploadRoute | undefined {
  const [, version = "", name = ""] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (!(uploadVersions as readonly string[]).includes(version)) return undefined;
  return uploadRoutes.find((route) => route.name === name);
}

/**
 * Additive: resumable uploads by tus 1.0. POST here makes one; HEAD, PATCH and DELETE go to `<this>/<id>`. The server's
 * Location is relative ("upload-tus/<id>"), so that it holds behind any prefix a proxy puts before this path.
 */
export const tusPath = "/v1beta1/upload-tus";
/** @param path without query @returns "" for the route itself, the id for an upload of it, undefined for any other path */
export function tusIdOf(path: string): string | undefined {
  if (path === tusPath || path === `${tusPath}/`) return "";
  const id = path.startsWith(`${tusPath}/`) ? path.slice(tusPath.length + 1) : undefined;
  return id !== undefined && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}
