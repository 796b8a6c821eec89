// Imports each file named in a list into a volume of its own and tells how that ended: a process of its own, so that a test can
// give it another qemu-img. Arguments: the list (JSON: { path, distant }[]), where the answers go, a folder for volumes.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileSource } from "../../importer/sources/index.ts";
import { filesystemSink, importImage, newProgress } from "../../src/datapath/index.ts";
import { faultOf } from "../../src/lib/faults.ts";
import { silentLog } from "../../src/lib/log.ts";

export interface Wanted {
  path: string;
  /** Read as if it came from afar, through scratch where a format needs it. */
  distant: boolean;
}
export interface Told {
  code: string;
  message: string;
  road?: string;
  sha256?: string;
  bytes?: number;
  /** Files left in the volume and in scratch. */
  left: string[];
}

/** Of each volume, bytes. */
const requestBytes = 64 * 1024 * 1024;

async function importOne({ path, distant }: Wanted, folder: string): Promise<Told> {
  const [volume, scratch] = [join(folder, "volume"), join(folder, "scratch")];
  for (const dir of [volume, scratch]) await mkdir(dir, { recursive: true });
  const { localPath, ...afar } = fileSource(path);
  const source = distant || localPath === undefined ? afar : { ...afar, localPath };
  try {
    const outcome = await importImage({
      source,
      sink: await filesystemSink({ folder: volume, requestBytes }),
      progress: newProgress(),
      log: silentLog,
      signal: new AbortController().signal,
      preallocate: false,
      scratch: { dir: scratch, fileName: "tmpimage" },
    });
    if (outcome.kind !== "done") return { code: outcome.kind, message: "", left: await readdir(volume) };
    const disk = (await readFile(join(volume, "disk.img"))).subarray(0, outcome.virtualSizeBytes);
    return {
      code: "none",
      message: "",
      road: outcome.road,
      sha256: createHash("sha256").update(disk).digest("hex"),
      bytes: outcome.virtualSizeBytes,
      left: [...(await readdir(volume)), ...(await readdir(scratch))],
    };
  } catch (cause) {
    const { code, message } = faultOf(cause);
    return { code, message, left: [...(await readdir(volume)), ...(await readdir(scratch))] };
  } finally {
    await source.close();
    for (const dir of [volume, scratch]) await rm(dir, { recursive: true, force: true });
  }
}

const [list = "", answers = "", folder = ""] = process.argv.slice(2);
const told: Told[] = [];
for (const wanted of JSON.parse(await readFile(list, "utf8")) as Wanted[]) told.push(await importOne(wanted, folder));
await writeFile(answers, JSON.stringify(told));
