// Whose name a registry is asked in: user and password of upstream's secret, or an entry of a docker config file.
import { Fault } from "../../../src/lib/faults.ts";
import { Secret } from "../../../src/lib/secret.ts";

export type Credentials =
  | { readonly kind: "password"; readonly user: string; readonly password: Secret }
  | { readonly kind: "token"; readonly token: Secret };

/** Both must be there, or none is sent. */
export const passwordCredentials = (user: Secret | undefined, password: Secret | undefined): Credentials | undefined =>
  user?.reveal() && password?.reveal() ? { kind: "password", user: user.reveal(), password } : undefined;

interface Entry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
}

/**
 * The entry of a docker config (`{"auths": {...}}`) for a repository: the longest key that is the host, or the host and the
 * beginning of the path. @throws Fault ConfigInvalid, never quoting the file
 */
export function credentialsFrom(config: string, host: string, repository: string): Credentials | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(config);
  } catch {
    // The error quotes the text.
    throw new Fault("ConfigInvalid", "the registry's auth file is not JSON");
  }
  const auths = (parsed as { auths?: unknown } | null)?.auths;
  if (typeof auths !== "object" || auths === null) return undefined;
  const names = host === "docker.io" ? ["docker.io", "index.docker.io", "registry-1.docker.io"] : [host];
  const wanted = names.map((name) => `${name}/${repository}/`);
  const [, entry] = Object.entries(auths as Record<string, Entry>)
    .map(([key, value]) => [scopeOf(key), value] as const)
    .filter(([scope]) => wanted.some((path) => path.startsWith(scope)))
    .toSorted(([a], [b]) => b.length - a.length)[0] ?? [undefined, undefined];
  return entry ? credentialsOf(entry) : undefined;
}

/** "https://index.docker.io/v1/" and "index.docker.io" mean the same. */
const scopeOf = (key: string): string => `${key.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "")}/`;

function credentialsOf({ auth, username, password, identitytoken, registrytoken }: Entry): Credentials | undefined {
  if (typeof registrytoken === "string" && registrytoken) return { kind: "token", token: new Secret(registrytoken) };
  if (typeof identitytoken === "string" && identitytoken) {
    throw new Fault(
      "ConfigInvalid",
      "the registry's auth file has an identity token, which this release does not use yet",
    );
  }
  const joined = typeof auth === "string" ? Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "") : "";
  const at = joined.indexOf(":");
  const user = typeof username === "string" && username ? username : joined.slice(0, Math.max(0, at));
  const secret = typeof password === "string" && password ? password : at < 0 ? "" : joined.slice(at + 1);
  return passwordCredentials(new Secret(user), new Secret(secret));
}
