// Door of the store: ordered keys with one revision counter, on disk or in memory alone.
import { openDisk } from "./disk.ts";
import { createStore } from "./store.ts";
import type { Store } from "./types.ts";

/**
 * Opens the store in a folder (made if absent, one process at a time), or in memory alone when there is none.
 * @throws when another process has the folder open
 */
export const openStore = async ({ dir }: { dir?: string } = {}): Promise<Store> =>
  await createStore(dir === undefined ? undefined : await openDisk(dir));

export { StaleRevision } from "./types.ts";
export type { Change, Row, Store, StoredValue } from "./types.ts";
