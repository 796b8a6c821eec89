// Running something as an ordinary user from a test that is root.
import { statSync } from "node:fs";
import { dirname, join } from "node:path";

const isRoot = process.getuid?.() === 0;
/** nobody */
export const ordinaryUser = 65534;
const checkout = join(import.meta.dirname, "..", "..");

/** Why there is no ordinary user for such tests; undefined when there is one. Root may own a checkout nobody else can enter. */
export const noOrdinaryUser: string | undefined =
  isRoot && !isOpenToOthers(checkout) ? "other users cannot enter this checkout" : undefined;

/** Goes before a command; empty for one who is an ordinary user already. */
export const asOrdinaryUser: readonly string[] = isRoot
  ? ["setpriv", "--reuid", String(ordinaryUser), "--regid", String(ordinaryUser), "--clear-groups", "--"]
  : [];

function isOpenToOthers(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) return false;
    if (at === dirname(at)) return true;
  }
}
