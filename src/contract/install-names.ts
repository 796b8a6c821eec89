// Names of what an installation holds in its own namespace: services, secrets and config maps
// (interfaces/operator-and-monitoring.md sections 3 and 5).

export const services = { api: "cdi-api", uploadProxy: "cdi-uploadproxy" } as const;

/** Registers the upload token API. */
export const apiServiceName = "v1beta1.upload.cdi.kubevirt.io";

/** Key of every config map that holds authorities. */
export const bundleKey = "ca-bundle.crt";

/** An authority's Secret, the config map of the authorities trusted, and the certificate made from it, if it has one of its own. */
export interface Signer {
  readonly secret: string;
  readonly bundle: string;
  readonly leaf?: string;
}
export const signers = {
  api: {
    secret: "cdi-apiserver-signer",
    bundle: "cdi-apiserver-signer-bundle",
    leaf: "cdi-apiserver-server-cert",
  },
  uploadProxy: {
    secret: "cdi-uploadproxy-signer",
    bundle: "cdi-uploadproxy-signer-bundle",
    leaf: "cdi-uploadproxy-server-cert",
  },
  /** Of the certificates of upload pods, one Secret each. */
  uploadServer: { secret: "cdi-uploadserver-signer", bundle: "cdi-uploadserver-signer-bundle" },
  uploadClient: {
    secret: "cdi-uploadserver-client-signer",
    bundle: "cdi-uploadserver-client-signer-bundle",
    leaf: "cdi-uploadserver-client-cert",
  },
} as const satisfies Record<string, Signer>;
