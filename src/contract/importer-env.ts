// The importer pod's environment (interfaces/importer.md section 3), one table for the controller that writes it and the
// program that reads it.
import { bool, optionalText, record, text, type Of, type Variable } from "./env.ts";

/** Quantity text, "" when unknown. Parsed where it is used: upstream treats an empty one as "no resize". */
const sourceWords = ["http", "s3", "gcs", "glance", "none", "registry", "imageio", "vddk"] as const;
export type SourceWord = (typeof sourceWords)[number];

/** `IMPORTER_IMAGE_SIZE`, `FILESYSTEM_OVERHEAD` and booleans keep upstream's spelling; empty values are written empty. */
export const importerEnv = record({
  /** One of `sourceWords`; kept as text because an unknown word is an outcome of its own ("Unknown data source"). */
  source: text("IMPORTER_SOURCE"),
  endpoint: text("IMPORTER_ENDPOINT"),
  contentType: text("IMPORTER_CONTENTTYPE"),
  imageSize: text("IMPORTER_IMAGE_SIZE"),
  ownerUid: text("OWNER_UID"),
  filesystemOverhead: text("FILESYSTEM_OVERHEAD"),
  insecureTls: bool("INSECURE_TLS"),
  diskId: text("IMPORTER_DISK_ID"),
  uuid: text("IMPORTER_UUID"),
  pullMethod: text("IMPORTER_PULL_METHOD"),
  readyFile: text("IMPORTER_READY_FILE"),
  doneFile: text("IMPORTER_DONE_FILE"),
  backingFile: text("IMPORTER_BACKING_FILE"),
  thumbprint: text("IMPORTER_THUMBPRINT"),
  httpProxy: text("http_proxy"),
  httpsProxy: text("https_proxy"),
  noProxy: text("no_proxy"),
  currentCheckpoint: text("IMPORTER_CURRENT_CHECKPOINT"),
  previousCheckpoint: text("IMPORTER_PREVIOUS_CHECKPOINT"),
  finalCheckpoint: text("IMPORTER_FINAL_CHECKPOINT"),
  preallocation: bool("PREALLOCATION", true),
  /** Present (if empty) from a current controller, absent from a v1.56 one: see `spokenTo`. */
  cacheMode: presentText("CACHE_MODE"),
  registryImageArchitecture: text("IMPORTER_REGISTRY_IMAGE_ARCHITECTURE"),
  checksum: presentText("IMPORTER_CHECKSUM"),
  accessKeyId: optionalText("IMPORTER_ACCESS_KEY_ID"),
  secretKey: optionalText("IMPORTER_SECRET_KEY"),
  certDir: optionalText("IMPORTER_CERT_DIR"),
  proxyCertDir: optionalText("IMPORTER_PROXY_CERT_DIR"),
  /** Additive: annotation cdi.kubevirt.io/storage.import.format, "raw" or absent (compat.md, "What is a disk"). */
  format: optionalText("CDI_IMPORT_FORMAT"),
  /** Additive: the `.dockerconfigjson` of a registry's secret, where it has one. */
  registryAuth: optionalText("CDI_REGISTRY_AUTH"),
  /** Additive: an administrator's address rules, as CDI_ADDRESS_POLICY on the controller (compat.md, "Address policy"). */
  addressRules: optionalText("CDI_ADDRESS_POLICY"),
});
export type ImporterConfig = Of<typeof importerEnv>;

/** Text that distinguishes absent (undefined) from empty. */
function presentText(name: string): Variable<string | undefined> {
  return { name, write: (value) => value ?? "", read: (raw) => raw };
}

/** Which release's controller started this importer: N always sets CACHE_MODE and IMPORTER_CHECKSUM, if empty (compat.md). */
export const spokenTo = (config: ImporterConfig): "current" | "v1.56" =>
  config.cacheMode === undefined && config.checksum === undefined ? "v1.56" : "current";

/** `IMPORTER_EXTRA_HEADER_<n>`: one header line each, n from 0. */
export const extraHeaderName = (index: number): string => `IMPORTER_EXTRA_HEADER_${index}`;
export function readExtraHeaders(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter((name) => /^IMPORTER_EXTRA_HEADER_\d+$/.test(name))
    .sort((a, b) => Number(a.slice(22)) - Number(b.slice(22)))
    .map((name) => env[name] ?? "");
}
