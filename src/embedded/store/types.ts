// The words of the store: keys, revisions and values. It knows nothing of Kubernetes but that values are JSON objects.

/** A JSON object, frozen to its depth once it is in the store. */
export type StoredValue = Readonly<Record<string, unknown>>;

export interface Row {
  readonly key: string;
  /** The revision of the last write. */
  readonly revision: number;
  /** Frozen: a caller that tries to change it gets a TypeError. */
  readonly value: StoredValue;
  /** `value` as JSON, kept so that no reader has to write it again. */
  readonly text: string;
}

/** One write, as watchers see it. No `now`: removed; no `before`: created. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  readonly now?: Row;
  readonly before?: Row;
}

export interface Store {
  /** The newest revision, also of writes not yet acknowledged. */
  readonly revision: number;
  /** The newest revision that followers were told of: nothing up to it will be told any more. */
  readonly toldRevision: number;
  get(key: string): Row | undefined;
  /** Rows whose keys begin with the prefix, ordered by key. */
  list(prefix: string): Row[];
  /**
   * Writes the value made for the new revision. It is read back at once; the promise and the followers come when it is on
   * disk. `ifRevision` is the row's expected revision, 0 for "must not be there".
   * @throws StaleRevision when the expectation does not hold
   */
  put(key: string, make: (revision: number) => StoredValue, options?: { ifRevision?: number }): Promise<Row>;
  /** @returns the change, undefined when nothing was there. @throws StaleRevision */
  remove(key: string, options?: { ifRevision?: number }): Promise<Change | undefined>;
  /** Durable changes after a revision, oldest first; undefined when the history no longer reaches back that far. */
  since(revision: number): readonly Change[] | undefined;
  /** Calls back for each change once it is durable, in order of revision. @returns the end of following */
  follow(listener: (change: Change) => void): () => void;
  /** Waits for the writes under way and closes the disk. */
  close(): Promise<void>;
}

/** The row is not at the revision the writer expected. */
export class StaleRevision extends Error {
  readonly key: string;
  constructor(key: string) {
    super(`${key} is not at the expected revision`);
    this.name = "StaleRevision";
    this.key = key;
  }
}
