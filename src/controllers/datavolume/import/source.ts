// From a DataVolume's source to the import annotations of its claim (interfaces/annotations-and-labels.md section 2).
import { annotations, extraHeaderAnnotation, secretExtraHeaderAnnotation } from "../../../api/annotations.ts";
import type { DataVolume } from "../../../api/data-volume.ts";

/** Sources whose import this release does by itself. */
export const isHandled = ({ spec }: DataVolume): boolean =>
  spec.source?.http !== undefined || spec.source?.blank !== undefined;

export function importAnnotationsOf({ spec }: DataVolume): Record<string, string> {
  const http = spec.source?.http;
  if (!http) return { [annotations.importSource]: "none" };
  return {
    [annotations.importSource]: "http",
    [annotations.importEndpoint]: http.url,
    ...(http.secretRef ? { [annotations.importSecretName]: http.secretRef } : {}),
    ...(http.certConfigMap ? { [annotations.importCertConfigMap]: http.certConfigMap } : {}),
    ...(http.checksum ? { [annotations.importChecksum]: http.checksum } : {}),
    ...(http.insecureSkipVerify ? { [annotations.importInsecureSkipVerify]: "true" } : {}),
    ...Object.fromEntries((http.extraHeaders ?? []).map((header, at) => [extraHeaderAnnotation(at), header])),
    ...Object.fromEntries((http.secretExtraHeaders ?? []).map((name, at) => [secretExtraHeaderAnnotation(at), name])),
  };
}
