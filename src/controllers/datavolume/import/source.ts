// From a DataVolume's source to the import annotations of its claim (interfaces/annotations-and-labels.md section 2).
import { annotations, extraHeaderAnnotation, secretExtraHeaderAnnotation } from "../../../api/annotations.ts";
import type { DataVolume } from "../../../api/data-volume.ts";

/** Sources whose import this release does by itself. */
export const isHandled = ({ spec }: DataVolume): boolean =>
  spec.source?.http !== undefined || spec.source?.blank !== undefined || spec.source?.registry !== undefined;

export function importAnnotationsOf({ spec }: DataVolume): Record<string, string> {
  const { http, registry } = spec.source ?? {};
  if (registry) return registryAnnotations(registry);
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

type Registry = NonNullable<NonNullable<DataVolume["spec"]["source"]>["registry"]>;

/** interfaces/registry.md 1.2 */
function registryAnnotations(registry: Registry): Record<string, string> {
  const { url, imageStream, pullMethod, secretRef, certConfigMap, platform } = registry;
  return {
    [annotations.importSource]: "registry",
    [annotations.importEndpoint]: url ?? imageStream ?? "",
    ...(url === undefined && imageStream !== undefined ? { [annotations.registryImageStream]: "true" } : {}),
    ...(pullMethod ? { [annotations.registryImportMethod]: pullMethod } : {}),
    ...(secretRef ? { [annotations.importSecretName]: secretRef } : {}),
    ...(certConfigMap ? { [annotations.importCertConfigMap]: certConfigMap } : {}),
    ...(platform?.architecture ? { [annotations.registryImageArchitecture]: platform.architecture } : {}),
  };
}
