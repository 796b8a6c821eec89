// What must hold of `spec.source` and `spec.sourceRef` (admission.md section 2, checks 12-23).
import { contentTypes, type DataVolumeSource, type DataVolumeSpec } from "../data-volume.ts";
import { firstComplaint, invalid, type Cause } from "./cause.ts";
import { checksumComplaint } from "./checksum.ts";
import { parseGoUrl } from "./go-url.ts";

/** Checks 12-23; the first failure is the answer. */
export function sourceComplaints(spec: DataVolumeSpec): Cause[] {
  const { source, sourceRef } = spec;
  if (sourceRef && !source) return sourceRefComplaints(sourceRef);
  if (!source || sourceRef) {
    return [invalid("spec.source", "Data volume should have either Source or SourceRef, or be externally populated")];
  }
  return firstComplaint([
    () => howMany(source),
    () => contentType(spec),
    () => urlComplaints(source),
    () => blankComplaints(spec),
    () => (source.registry ? registryComplaints(source.registry, spec) : []),
    () => (source.imageio ? imageioComplaints(source.imageio) : []),
    () => (source.vddk ? vddkComplaints(source.vddk) : []),
    () => cloneComplaints(source),
  ]);
}

function sourceRefComplaints({ kind, name }: NonNullable<DataVolumeSpec["sourceRef"]>): Cause[] {
  if (!kind) return [invalid("spec.sourceRef.Kind", "Missing sourceRef kind")];
  if (kind !== "DataSource") {
    const message = `Unsupported sourceRef kind ${kind}, currently only DataSource is supported`;
    return [invalid("spec.sourceRef.Kind", message)];
  }
  return name ? [] : [invalid("spec.sourceRef.Name", "Missing sourceRef name")];
}

function howMany(source: DataVolumeSource): Cause[] {
  const set = Object.values(source).filter((member) => member !== undefined && member !== null).length;
  if (set === 0) return [invalid("spec.source", "Missing Data volume source")];
  return set > 1 ? [invalid("spec.source", "Multiple Data volume sources")] : [];
}

function contentType({ contentType: word }: DataVolumeSpec): Cause[] {
  const known: readonly string[] = ["", ...contentTypes];
  return known.includes(word ?? "") ? [] : [invalid("spec.contentType", "ContentType not one of: kubevirt, archive")];
}

const urlSources = [
  ["http", "HTTP"],
  ["s3", "S3"],
  ["gcs", "GCS"],
  ["imageio", "ImageIO"],
  ["vddk", "VDDK"],
] as const satisfies readonly (readonly [keyof DataVolumeSource, string])[];

/** An http source may have a bad URL and a bad checksum: both are told. */
function urlComplaints(source: DataVolumeSource): Cause[] {
  const causes = urlSources.flatMap(([member, shown]) => {
    const settings = source[member];
    const message = settings ? urlComplaint(settings.url ?? "") : undefined;
    return message === undefined ? [] : [invalid(`spec.source.${shown}.url`, message)];
  });
  const checksum = source.http?.checksum;
  const complaint = checksum ? checksumComplaint(checksum) : undefined;
  if (complaint === undefined) return causes;
  return [...causes, invalid("spec.source.HTTP.checksum", `Invalid checksum format: ${complaint}`)];
}

function urlComplaint(url: string): string | undefined {
  if (url === "") return "spec.source source URL is empty";
  const parsed = parseGoUrl(url);
  if (!parsed.ok) return `spec.source Invalid source URL: ${url}`;
  if (["http", "https", "gs"].includes(parsed.scheme)) return undefined;
  return `spec.source Invalid source URL scheme: ${url}`;
}

const blankComplaints = ({ source, contentType: word }: DataVolumeSpec): Cause[] =>
  source?.blank && word === "archive"
    ? [invalid("spec.contentType", "SourceType cannot be blank and the contentType be archive")]
    : [];

function registryComplaints(registry: NonNullable<DataVolumeSource["registry"]>, spec: DataVolumeSpec): Cause[] {
  const base = "spec.source.Registry";
  const { url, imageStream, pullMethod } = registry;
  if (spec.contentType === "archive") {
    return [invalid("spec.contentType", "ContentType must be kubevirt when Source is Registry")];
  }
  if ((url === undefined) === (imageStream === undefined)) {
    return [invalid(base, "Source registry should have either URL or ImageStream")];
  }
  if (url !== undefined) {
    const parsed = parseGoUrl(url);
    if (!parsed.ok) return [invalid(`${base}.URL`, `Illegal registry source URL ${url}`)];
    if (parsed.scheme !== "docker" && parsed.scheme !== "oci-archive") {
      return [invalid(`${base}.URL`, `Illegal registry source URL scheme ${url}`)];
    }
  }
  if (!["", "pod", "node"].includes(pullMethod ?? "")) {
    return [invalid(`${base}.importMethod`, `ImportMethod ${pullMethod} is neither pod, node or ""`)];
  }
  if (imageStream === "") return [invalid(`${base}.importMethod`, "Source registry ImageStream is not valid")];
  if (imageStream !== undefined && pullMethod !== "node") {
    const message = "Source registry ImageStream is supported only with node pull import method";
    return [invalid(`${base}.importMethod`, message)];
  }
  return [];
}

function imageioComplaints(imageio: NonNullable<DataVolumeSource["imageio"]>): Cause[] {
  const field = "spec.source.Imageio";
  if (!imageio.secretRef || !imageio.diskId) return [invalid(field, `${field} source Imageio is not valid`)];
  if (imageio.certConfigMap || imageio.insecureSkipVerify) return [];
  return [invalid(field, `${field} source Imageio requires CertConfigMap or InsecureSkipVerify`)];
}

function vddkComplaints({ secretRef, uuid, backingFile, thumbprint }: NonNullable<DataVolumeSource["vddk"]>): Cause[] {
  const field = "spec.source.VDDK";
  return secretRef && uuid && backingFile && thumbprint ? [] : [invalid(field, `${field} source VDDK is not valid`)];
}

function cloneComplaints({ pvc, snapshot }: DataVolumeSource): Cause[] {
  if (pvc && !(pvc.namespace && pvc.name)) {
    return [invalid("spec.source.PVC", "spec.source.PVC source PVC is not valid")];
  }
  if (snapshot && !(snapshot.namespace && snapshot.name)) {
    return [invalid("spec.source.Snapshot", "spec.source.Snapshot source snapshot is not valid")];
  }
  return [];
}
