// What an entry of an archive may be called: below the root, and nothing else.
import { Fault } from "../../lib/faults.ts";

export const refused = (what: string, cause?: unknown): Fault =>
  new Fault("ArchiveInvalid", `the tar archive is refused: ${what}`, { cause });

/** For messages: quoted, and not longer than anyone reads. */
export const shownName = (name: Buffer): string => JSON.stringify(name.subarray(0, 200).toString("utf8"));

/** Linux's, bytes. */
const longestComponent = 255;
const slash = 0x2f;

/**
 * The path's names, without "." and empty ones; none for the root itself.
 * @throws Fault ArchiveInvalid for one that is absolute, holds "..", or has a name too long
 */
export function componentsOf(path: Buffer): Buffer[] {
  if (path[0] === slash) throw refused(`${shownName(path)} is an absolute name`);
  const names: Buffer[] = [];
  for (let start = 0; start < path.length;) {
    const found = path.indexOf(slash, start);
    const end = found < 0 ? path.length : found;
    const name = path.subarray(start, end);
    start = end + 1;
    const text = name.length <= 2 ? name.toString("latin1") : "";
    if (name.length === 0 || text === ".") continue;
    if (text === "..") throw refused(`${shownName(path)} leads out of the volume`);
    if (name.length > longestComponent)
      throw refused(`a name is longer than ${longestComponent} bytes: ${shownName(path)}`);
    names.push(name);
  }
  return names;
}
