// The one catalog of what can go wrong: code, exit status of a data program, how often it is tried, and what to do.
// Exit statuses are part of the pod contract (compat.md: 64-113; 1 = unclassified): never reuse or renumber one.

/**
 * How long a fault is worth retrying (compat.md, "Failed is not harmless"), in container exits:
 * - `never`: one attempt, then Failed
 * - `once`: two attempts, so that ImportInProgress is seen in between
 * - `some`: five attempts, about 150 s
 * - `always`: capped backoff, never Failed
 */
export const attemptsOf = { never: 1, once: 2, some: 5, always: Infinity } as const;
export type RetryClass = keyof typeof attemptsOf;

export interface FaultRow {
  readonly exit: number;
  readonly retry: RetryClass;
  /** What it means, one sentence. */
  readonly text: string;
  /** What the reader can do about it, one sentence. */
  readonly remedy: string;
}

export const FAULTS = {
  Unclassified: {
    exit: 1,
    retry: "always",
    text: "Something failed that has no code yet.",
    remedy: "Read the importer's log; if it happens again, report it with the log.",
  },
  ChecksumMismatch: {
    exit: 64,
    retry: "never",
    text: "The bytes received do not have the checksum asked for.",
    remedy: "Compare the checksum with the publisher's; if it is right, the file at the source was changed or damaged.",
  },
  ConfigInvalid: {
    exit: 65,
    retry: "once",
    text: "The program was started with settings it cannot use.",
    remedy: "Correct the settings named in the message.",
  },
  SourceUnknown: {
    exit: 66,
    retry: "once",
    text: "The kind of source is not one this program reads.",
    remedy: "Use one of the supported sources.",
  },
  TargetTooSmall: {
    exit: 67,
    retry: "once",
    text: "The image's virtual size is larger than the target.",
    remedy: "Ask for a larger claim: the message names both sizes.",
  },
  NotAnImage: {
    exit: 68,
    retry: "once",
    text: "What the source sent is not a disk image.",
    remedy:
      "Check the URL: a page, an error document or an archive was received. To store the bytes as they are, set the annotation cdi.kubevirt.io/storage.import.format: raw.",
  },
  FormatUnsupported: {
    exit: 69,
    retry: "once",
    text: "The disk format is known but not one this release converts.",
    remedy: "Convert the image to raw or qcow2 with qemu-img and import that.",
  },
  ImageRefused: {
    exit: 70,
    retry: "once",
    text: "The image refers to other files or uses features that are not safe or not known.",
    remedy: "Flatten it with qemu-img convert -O qcow2 and import the result.",
  },
  ImageTruncated: {
    exit: 71,
    retry: "once",
    text: "The image ends before its own tables say it does.",
    remedy: "Upload the image to the server again; the file there is incomplete.",
  },
  ImageCorrupt: {
    exit: 72,
    retry: "once",
    text: "The image's or compressed stream's structure is damaged.",
    remedy: "Check the file at the source (gzip -t, xz -t, zstd -t or qemu-img check).",
  },
  ImageTooShort: {
    exit: 73,
    retry: "once",
    text: "The source is shorter than the 512 bytes any disk has.",
    remedy: "Check the URL and the file's size on the server.",
  },
  ArchiveInvalid: {
    exit: 74,
    retry: "once",
    text: "The archive cannot be unpacked.",
    remedy: "contentType archive needs a tar file, plain or compressed with gz, xz or zst.",
  },
  SourceUnauthorized: {
    exit: 75,
    retry: "some",
    text: "The server asks for credentials (401).",
    remedy: "Set secretRef to a Secret with accessKeyId and secretKey that the server accepts.",
  },
  SourceForbidden: {
    exit: 76,
    retry: "some",
    text: "The server refuses access (403).",
    remedy: "Check that the credentials may read this file and that a signed URL has not expired.",
  },
  SourceNotFound: {
    exit: 77,
    retry: "some",
    text: "There is no such file on the server (404).",
    remedy: "Correct the URL.",
  },
  SourceGone: {
    exit: 78,
    retry: "some",
    text: "The server says the file is gone for good (410).",
    remedy: "Use another URL.",
  },
  SourceRefused: {
    exit: 79,
    retry: "some",
    text: "The server answered with a status that is no success.",
    remedy: "Open the URL with curl -v to see what the server says.",
  },
  UnknownAuthority: {
    exit: 80,
    retry: "some",
    text: "The server's certificate is signed by an authority that is not trusted here.",
    remedy: "Put the authority's certificate (PEM) into a ConfigMap and name it in certConfigMap.",
  },
  CertificateExpired: {
    exit: 81,
    retry: "some",
    text: "The server's certificate is not valid now.",
    remedy: "Renew the server's certificate, and check both clocks.",
  },
  CertificateWrongName: {
    exit: 82,
    retry: "some",
    text: "The server's certificate is for another host name.",
    remedy: "Use the host name in the certificate, or have it reissued.",
  },
  RedirectRefused: {
    exit: 83,
    retry: "some",
    text: "The server redirects in a loop, or to somewhere not allowed.",
    remedy: "Use the final URL directly.",
  },
  HostUnknown: {
    exit: 84,
    retry: "always",
    text: "The host name cannot be resolved.",
    remedy: "Check the host name and the cluster's DNS.",
  },
  ConnectionFailed: {
    exit: 85,
    retry: "always",
    text: "No connection to the server.",
    remedy: "Check that the server runs and that network policies or proxies let the importer reach it.",
  },
  SourceCut: {
    exit: 86,
    retry: "always",
    text: "The connection ended before the last byte.",
    remedy: "Nothing to do: it is tried again. If it repeats, look at the server's and proxies' time limits.",
  },
  SourceStalled: {
    exit: 87,
    retry: "always",
    text: "The server stopped sending.",
    remedy: "Nothing to do: it is tried again. If it repeats, look at the server.",
  },
  SourceBusy: {
    exit: 88,
    retry: "always",
    text: "The server is busy or failing (408, 425, 429, 5xx).",
    remedy: "Nothing to do: it is tried again.",
  },
  SourceChanged: {
    exit: 89,
    retry: "always",
    text: "The file changed while it was being read.",
    remedy: "Nothing to do: it starts over. Publish images under names that do not change.",
  },
  TlsFailed: {
    exit: 90,
    retry: "always",
    text: "The TLS handshake failed.",
    remedy: "Check that the URL's scheme and port are the server's, and that it speaks TLS 1.2 or newer.",
  },
  AddressRefused: {
    exit: 91,
    retry: "some",
    text: "The address is not one an import may connect to.",
    remedy: "Use an address outside the denied ranges.",
  },
  TargetFull: {
    exit: 92,
    retry: "always",
    text: "The target or scratch volume has no space left.",
    remedy: "Ask for a larger claim, or free space on the storage behind it.",
  },
  QuotaExceeded: {
    exit: 93,
    retry: "always",
    text: "A quota is used up: the disk's, or the namespace's.",
    remedy: "Raise the quota, or free what counts against it: kubectl describe resourcequota shows the namespace's.",
  },
  TargetIo: {
    exit: 94,
    retry: "always",
    text: "Writing to the target failed.",
    remedy: "Look at the storage behind the claim: the kernel log of the node has the device's error.",
  },
  TargetReadOnly: {
    exit: 95,
    retry: "always",
    text: "The target cannot be written.",
    remedy: "Check the volume's mount options, access modes and ownership (uid 107).",
  },
  TargetInUse: {
    exit: 96,
    retry: "always",
    text: "The target is open elsewhere, or bears data.",
    remedy: "Stop what uses it; on the command line --overwrite replaces what is there.",
  },
  ScratchMissing: {
    exit: 97,
    retry: "always",
    text: "This import needs scratch space and has none.",
    remedy: "On the command line give --scratch DIR.",
  },
  ToolMissing: {
    exit: 98,
    retry: "always",
    text: "A system tool is missing.",
    remedy: "Install the package named in the message.",
  },
  ConversionFailed: {
    exit: 99,
    retry: "once",
    text: "qemu-img could not convert the image.",
    remedy: "Check the image with qemu-img check; the message holds qemu-img's own words.",
  },
  SourceUnreadable: {
    exit: 100,
    retry: "once",
    text: "The local source file cannot be read.",
    remedy: "Check the path and its permissions.",
  },
  SourceSizeUnknown: {
    exit: 101,
    retry: "always",
    text: "The server sent more or fewer bytes than it announced.",
    remedy: "Look at the server or the proxy in between.",
  },
  MemoryExceeded: {
    exit: 102,
    retry: "always",
    text: "The importer was killed because it reached its memory limit.",
    remedy:
      "Nothing to do: it is tried again with direct I/O, and without the next time. If it repeats, raise the memory limit in the CDI object's spec.config.podResourceRequirements.",
  },
  ObjectMissing: {
    exit: 103,
    retry: "always",
    text: "A Secret, ConfigMap or StorageClass that the import names does not exist, or lacks a key.",
    remedy: "Create it, Secrets and ConfigMaps in the DataVolume's namespace: the import goes on by itself.",
  },
  DigestMismatch: {
    exit: 105,
    retry: "once",
    text: "A part of the container image does not have the digest its manifest tells.",
    remedy: "Push the image again; if it repeats, look at the registry's storage and the proxies in between.",
  },
  NoDiskInImage: {
    exit: 106,
    retry: "once",
    text: "The container image holds no disk where one is looked for.",
    remedy: "Put exactly one disk image into the folder /disk of the container image.",
  },
  PlatformMissing: {
    exit: 107,
    retry: "once",
    text: "The container image is not there for the architecture that is wanted.",
    remedy: "Push an image of that architecture, or set platform.architecture to one there is.",
  },
  AddressDenied: {
    exit: 108,
    retry: "some",
    text: "The source's name resolved to an address that imports may not connect to.",
    remedy:
      "Serve the image from another address; an administrator may allow one with CDI_ADDRESS_POLICY on the controller, as in allow:10.0.0.5.",
  },
  ImageNotServed: {
    exit: 111,
    retry: "always",
    text: "The node did not pull the container image, or its disk was not served to the importer.",
    remedy:
      "Look at the pod's container server with kubectl describe pod: check the image's name, and that the node may pull it (imagePullSecrets, certificates).",
  },
  UploadBroken: {
    exit: 112,
    retry: "always",
    text: "An upload's client went away before its last byte.",
    remedy: "Send the image again; cdi upload goes on where it stopped.",
  },
  UploadRefused: {
    exit: 113,
    retry: "always",
    text: "The upload proxy or the upload server did not take the image.",
    remedy: "The message holds the answer; with 503 wait until the DataVolume is UploadReady and send it again.",
  },
} as const satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof FAULTS;

/** An error with a place in the catalog. `message` is one line: what, where, for which input. No secrets in it. */
export class Fault extends Error {
  readonly code: FaultCode;
  /** The pause a server asked for, ms. */
  readonly retryAfterMs?: number;
  constructor(code: FaultCode, message: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(message.replaceAll(/\s*[\r\n]+\s*/g, " "), options);
    this.name = "Fault";
    this.code = code;
    if (options?.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
  get row(): FaultRow {
    return FAULTS[this.code];
  }
  get retryable(): boolean {
    return this.row.retry === "always" || this.row.retry === "some";
  }
}

/** The fault in an error or its causes, else an Unclassified one wrapped around it. */
export function faultOf(error: unknown): Fault {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    if (at instanceof Fault) return at;
  }
  const message = error instanceof Error ? error.message : String(error);
  return new Fault("Unclassified", message || "no message", { cause: error });
}

/** @returns the code whose exit status this is; undefined for 0, 1 and statuses that are not ours */
export function codeOfExit(exit: number): FaultCode | undefined {
  const entry = Object.entries(FAULTS).find(([, row]) => row.exit === exit && row.exit >= 64);
  return entry?.[0] as FaultCode | undefined;
}
