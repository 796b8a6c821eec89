// The store's disk: the one place that knows classic-level. Rows stand under "o/", the revision counter under "m/revision".
import { mkdir } from "node:fs/promises";
import { ClassicLevel } from "classic-level";

export interface DiskRow {
  key: string;
  revision: number;
  text: string;
}

export interface Disk {
  load(): Promise<{ revision: number; rows: DiskRow[] }>;
  /** All of it or nothing, and on disk when the promise resolves. A row without text is removed. */
  write(revision: number, rows: readonly { key: string; revision: number; text?: string }[]): Promise<void>;
  close(): Promise<void>;
}

const rowPrefix = "o/";
const revisionKey = "m/revision";

/** @throws when another process has the folder open */
export async function openDisk(dir: string): Promise<Disk> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const db = new ClassicLevel<string, string>(dir, { keyEncoding: "utf8", valueEncoding: "utf8" });
  try {
    await db.open();
  } catch (cause) {
    throw new Error(`the store in ${dir} cannot be opened; is another process using it?`, { cause });
  }
  return {
    async load() {
      const revision = Number((await db.get(revisionKey)) ?? 0);
      const rows: DiskRow[] = [];
      for await (const [key, value] of db.iterator({ gte: rowPrefix, lt: "o0" })) {
        const space = value.indexOf(" ");
        rows.push({
          key: key.slice(rowPrefix.length),
          revision: Number(value.slice(0, space)),
          text: value.slice(space + 1),
        });
      }
      return { revision, rows };
    },
    async write(revision, rows) {
      const batch = rows.map((row) =>
        row.text === undefined
          ? ({ type: "del", key: rowPrefix + row.key } as const)
          : ({ type: "put", key: rowPrefix + row.key, value: `${row.revision} ${row.text}` } as const),
      );
      await db.batch([...batch, { type: "put", key: revisionKey, value: String(revision) }], { sync: true });
    },
    close: () => db.close(),
  };
}
