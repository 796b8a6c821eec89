// The upload server's environment (interfaces/upload.md section 3), one table for the controller that writes it and the program
// that reads it. Both columns stand in it: a current controller names files, one of v1.56 hands over PEM texts.
import { bool, optionalText, record, text, type Of } from "./env.ts";

export const uploadEnv = record({
  /** Paths of the mounted certificate secret: `uploadTlsFiles` of the contract's paths. Absent from a v1.56 controller. */
  tlsKeyFile: optionalText("TLS_KEY_FILE"),
  tlsCertFile: optionalText("TLS_CERT_FILE"),
  clientCertFile: optionalText("CLIENT_CERT_FILE"),
  /** PEM texts, from a v1.56 controller only. */
  tlsKey: optionalText("TLS_KEY"),
  tlsCert: optionalText("TLS_CERT"),
  clientCert: optionalText("CLIENT_CERT"),
  filesystemOverhead: text("FILESYSTEM_OVERHEAD"),
  /** Quantity text of the claim's request, "" when unknown. */
  imageSize: text("UPLOAD_IMAGE_SIZE"),
  /** Common name of the one client that may post: `uploadClientName`, or a clone source's own. */
  clientName: text("CLIENT_NAME"),
  preallocation: bool("PREALLOCATION"),
  /** OpenSSL names, separated by commas; "" leaves the choice to the runtime. */
  tlsCiphers: text("TLS_CIPHERS"),
  /** VersionTLS10 to VersionTLS13; "" means 1.2. */
  tlsMinVersion: text("TLS_MIN_VERSION"),
  /** Set for a block volume only, to its device. */
  destination: optionalText("DESTINATION"),
  /** RFC 3339; a current controller only. */
  deadline: optionalText("DEADLINE"),
  listenAddress: optionalText("LISTEN_ADDRESS"),
  listenPort: optionalText("LISTEN_PORT"),
});
export type UploadConfig = Of<typeof uploadEnv>;

/** Which release's controller started this server: only v1.56's hands over PEM texts. */
export const uploadSpokenTo = (config: UploadConfig): "current" | "v1.56" =>
  config.tlsKeyFile === undefined && config.tlsKey !== undefined ? "v1.56" : "current";
