// What helps on a command line, where the catalog's remedy speaks of manifests, claims and tries that come by themselves.
import type { FaultCode } from "../lib/faults.ts";

const again = "Run the same command again.";

export const remediesHere: Readonly<Partial<Record<FaultCode, string>>> = {
  NotAnImage:
    "Check the URL or file: a page, an error document or an archive was found. cdi import --format raw stores the bytes as they are.",
  TargetTooSmall: "Give a larger target, or a larger --size: the message names both sizes.",
  TargetFull: "Free space where the target is, or choose another target.",
  TargetIo: "Look at the storage behind the target: the kernel log (dmesg) has the device's error.",
  TargetReadOnly: "Check the target's path, its permissions, and how its file system is mounted.",
  QuotaExceeded: "Raise the quota, or free what counts against it.",
  SourceUnauthorized:
    "Give --username and --password-file, for a registry --registry-auth-file, with credentials that the server accepts.",
  UnknownAuthority: "Name the file with the authority's certificate (PEM) with --ca; --insecure accepts any.",
  HostUnknown: "Check the host name.",
  ConnectionFailed: "Check that the server runs and that it can be reached from here.",
  SourceCut: `${again} If it repeats, look at the server's and proxies' time limits.`,
  SourceStalled: `${again} If it repeats, look at the server.`,
  SourceBusy: again,
  SourceChanged: `${again} Publish images under names that do not change.`,
  PlatformMissing: "Push an image of that architecture, or name one there is with --platform.",
};
