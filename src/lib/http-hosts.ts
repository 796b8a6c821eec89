// A hosts file as a look-up function, for the additive CDI_HOSTS of embedded mode where pods cannot have /etc/hosts bound in.
import { isIP } from "node:net";

/** Addresses of a name; undefined leaves the name to the system's resolver. */
export type Hosts = (name: string) => readonly string[] | undefined;

/** @param text lines of "address name [name...]", "#" starts a comment; lines without an address are passed over */
export function hostsFrom(text: string): Hosts {
  const table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) table.set(name.toLowerCase(), [...(table.get(name.toLowerCase()) ?? []), address]);
  }
  return (name) => table.get(name.toLowerCase());
}
