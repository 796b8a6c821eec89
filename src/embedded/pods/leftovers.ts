// What an earlier life of the node left behind: processes that outlived it, and folders of pods that are no more.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../lib/log.ts";
import { processFile } from "./launch.ts";
import { endLeftovers, readRecord } from "./processes.ts";

/** @param known uids of the pods in the API */
export async function cleanLeftovers(dir: string, known: ReadonlySet<string>, log: Log): Promise<void> {
  for (const uid of await readdir(dir)) {
    const containers = join(dir, uid, "containers");
    for (const container of await readdir(containers).catch(() => [])) {
      const folder = join(containers, container);
      const record = await readRecord(processFile(folder));
      if (!record) continue;
      const ended = await endLeftovers(record, folder);
      if (ended > 0) log.info("Ended processes of an earlier run", { uid, container, processes: ended });
      await rm(processFile(folder), { force: true });
      await rm(join(folder, "root"), { recursive: true, force: true });
    }
    if (known.has(uid)) continue;
    log.info("Removing the files of a pod that is gone", { uid });
    await rm(join(dir, uid), { recursive: true, force: true });
  }
}
