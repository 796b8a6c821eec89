// What the controllers are told at start, and what never changes afterwards.
import { labels } from "../api/labels.ts";

export interface ControllerOptions {
  /** Where the control plane lives: proxy CA config maps are read there. */
  cdiNamespace: string;
  importerImage: string;
  /** Absent: claims that wait for an upload are left alone. */
  uploadServerImage?: string;
  /** Names the upload proxy is reached by, beside those of its Service. */
  uploadProxyNames?: { dnsNames?: readonly string[]; ips?: readonly string[] };
  /** Rules of the address policy, for importer pods (src/lib/address-policy.ts). Absent: its defaults. */
  addressRules?: string;
  /** Pull policy of worker pods. */
  pullPolicy: string;
  /** The `-v` of worker pods. */
  verbosity: number;
  /** part-of and version labels of the CDI object, put on everything that is made. */
  installerLabels?: Readonly<Record<string, string>>;
}

/** The labels an installer's settings stand for; an empty or absent one is left out. */
export const installerLabelsOf = (given: {
  partOf?: string | undefined;
  version?: string | undefined;
}): Record<string, string> => ({
  ...(given.partOf ? { [labels.partOf]: given.partOf } : {}),
  ...(given.version ? { [labels.version]: given.version } : {}),
});
