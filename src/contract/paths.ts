// Fixed paths and ports of the data programs (interfaces/importer.md section 1), and the additive variables by which
// embedded mode moves them. Unset, programs behave as upstream's.
import { join } from "node:path";

export const podPaths = {
  data: "/data",
  disk: "/data/disk.img",
  blockDevice: "/dev/cdi-block-volume",
  scratch: "/scratch",
  /** Additive: a small folder that lives as long as the pod, where a Block target's progress is kept. */
  checkpoint: "/checkpoint",
  scratchImage: "/scratch/tmpimage",
  certs: "/certs",
  proxyCerts: "/proxycerts",
  extraHeaders: "/extraheaders",
  terminationLog: "/dev/termination-log",
  /** Where the upload server's certificate secret is mounted. */
  uploadTls: "/etc/tls",
} as const;

/** Keys of the upload server's certificate secret as mounted: its own pair, and who signs its clients. */
export const uploadTlsFiles = {
  key: "/etc/tls/tls.key",
  cert: "/etc/tls/tls.crt",
  clientCa: "/etc/tls/ca.crt",
} as const;

export const metricsPort = 8443;
/** uid and gid of every data pod. */
export const podUser = 107;

/** Additive variables, set only by embedded mode. */
export const additiveEnv = {
  /** Put before each fixed path where a pod has no mount namespace of its own. */
  root: "CDI_ROOT",
  /** Replaces 0.0.0.0 as listen address. */
  podIp: "CDI_POD_IP",
  /** A hosts file for our resolver. */
  hosts: "CDI_HOSTS",
  /** Size of the volume in bytes where statfs cannot tell it (a folder of the host). */
  volumeBytes: "CDI_VOLUME_BYTES",
} as const;

/** @param root value of CDI_ROOT, or "" */
export const underRoot = (root: string, path: string): string => (root ? join(root, path) : path);
