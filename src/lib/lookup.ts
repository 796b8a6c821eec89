// A hosts table before the system's resolver, in the shape sockets ask for.
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Hosts } from "./http-hosts.ts";

/**
 * @param hosts asked anew for each name; a failure of it leaves the name to the system,
 * an empty list says that there is no such name
 */
export const lookupIn =
  (hosts: () => Hosts | Promise<Hosts>): LookupFunction =>
  (name, options, done) => {
    const bySystem = (): void => systemLookup(name, options, done);
    const found = async (): Promise<void> => {
      const addresses = (await hosts())(name);
      const [first] = addresses ?? [];
      if (addresses === undefined) return bySystem();
      if (first === undefined) {
        const missing = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
          code: "ENOTFOUND",
          hostname: name,
        });
        return done(missing, "", 4);
      }
      const family = (address: string): number => (address.includes(":") ? 6 : 4);
      if (options.all) done(null, addresses.map((address) => ({ address, family: family(address) })) as never);
      else done(null, first, family(first));
    };
    found().catch(bySystem);
  };
