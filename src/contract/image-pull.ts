// What embedded mode's node and the program that pulls images for it say to each other: one JSON document to its standard input,
// one line of JSON from its standard output. Logs go to standard error.

export interface PullRequest {
  /** As a pod names it: host[:port]/repository[:tag|@digest], or a short name of Docker Hub. */
  readonly image: string;
  /** Empty; the image's files are put there. */
  readonly folder: string;
  /** Go's name; absent: the machine's own from an index, and a single image unchecked. */
  readonly architecture?: string;
  /** host[:port] of registries that may speak HTTP, or show any certificate. */
  readonly insecureRegistries: readonly string[];
  /** Docker configs with credentials, JSON; the first that has any for the image serves. */
  readonly auths: readonly string[];
  /** Digests of manifests whose files are there already: nothing is fetched then. */
  readonly have: readonly string[];
}

/** What an image says about how it is run. */
export interface RunConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** "NAME=value" */
  readonly env: readonly string[];
  readonly workingDir: string;
  /** "", "107", "107:107" or names. */
  readonly user: string;
}

export interface PulledImage {
  /** Of the image's manifest. */
  readonly digest: string;
  /** host/repository@digest, of what the name led to. */
  readonly id: string;
  /** Stored; 0 where the digest was one of `have`. */
  readonly sizeBytes: number;
  readonly config: RunConfig;
}

export type PullAnswer =
  | { readonly pulled: PulledImage }
  | {
      readonly failed: {
        /** `name`: no such name can be. `pull`: all else. */
        readonly kind: "name" | "pull";
        readonly message: string;
      };
    };
