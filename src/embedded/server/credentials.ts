// The server's own authority, its certificate and the administrator's, kept under the server's folder so that a kubeconfig
// stays good over restarts.
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { masters, type UserInfo } from "./auth/user.ts";
import type { Clock } from "../../lib/clock.ts";
import { issueCertificate, makeAuthority, type KeyedCertificate } from "../../pki/index.ts";

export const adminName = "kubernetes-admin";

export interface Credentials {
  authority: KeyedCertificate;
  server: KeyedCertificate;
  admin: KeyedCertificate;
  /** What ServiceAccount tokens are signed with. */
  accounts: KeyedCertificate;
  /** What this server shows to those it passes requests on to, of an authority that signs nothing else. */
  frontProxy: KeyedCertificate & { readonly authority: string };
}

export const frontProxyName = "front-proxy-client";

const dayMs = 24 * 60 * 60 * 1000;
const validMs = 3650 * dayMs;
/** Renewed at start when less than this is left. */
const leastLeftMs = 30 * dayMs;

/** Reads what an earlier run left, makes what is missing or about to expire. */
export async function openCredentials(dir: string, clock: Clock): Promise<Credentials> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await load(dir, "ca", clock);
  const authority = known ?? (await save(dir, "ca", await makeAuthority("cdi embedded", validMs, clock)));
  const issue = async (
    name: string,
    usage: "server" | "client",
    commonName: string,
    ...organizations: string[]
  ): Promise<KeyedCertificate> => {
    const kept = known && (await load(dir, name, clock));
    if (kept && organizationsIn(kept) === organizations.join("\n")) return kept;
    const now = clock.now();
    const made = await issueCertificate(authority, {
      commonName,
      organizations,
      usages: [usage],
      notBefore: now - 60_000,
      notAfter: now + validMs,
      ...(usage === "server"
        ? {
            ips: ["127.0.0.1", "::1"],
            dnsNames: ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
          }
        : {}),
    });
    return save(dir, name, made);
  };
  return {
    authority,
    server: await issue("server", "server", "kube-apiserver"),
    admin: await issue("admin", "client", adminName, masters),
    accounts: await issue("accounts", "client", "service-accounts"),
    frontProxy: await openFrontProxy(dir, clock),
  };
}

async function openFrontProxy(dir: string, clock: Clock): Promise<Credentials["frontProxy"]> {
  const known = await load(dir, "front-proxy-ca", clock);
  const authority =
    known ?? (await save(dir, "front-proxy-ca", await makeAuthority("cdi embedded front proxy", validMs, clock)));
  const kept = known && (await load(dir, "front-proxy", clock));
  const span = { notBefore: clock.now() - 60_000, notAfter: clock.now() + validMs };
  const request = { commonName: frontProxyName, usages: ["client"] as const, ...span };
  const own = kept ?? (await save(dir, "front-proxy", await issueCertificate(authority, request)));
  return { ...own, authority: authority.certificate };
}

/** One a line. A certificate of an earlier version, without its group, is made anew. */
const organizationsIn = ({ certificate }: KeyedCertificate): string =>
  [...new X509Certificate(certificate).subject.matchAll(/^O=(.*)$/gm)].map(([, name]) => name).join("\n");

async function load(dir: string, name: string, clock: Clock): Promise<KeyedCertificate | undefined> {
  const text = await readFile(join(dir, `${name}.pem`), "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });
  const split = text?.indexOf("-----BEGIN PRIVATE KEY-----") ?? -1;
  if (text === undefined || split < 0) return undefined;
  const kept = { certificate: text.slice(0, split), key: text.slice(split) };
  return new X509Certificate(kept.certificate).validToDate.getTime() - clock.now() > leastLeftMs ? kept : undefined;
}

/** Certificate and key in one file, in place at once: a killed process leaves no half of a pair. */
async function save(dir: string, name: string, made: KeyedCertificate): Promise<KeyedCertificate> {
  const path = join(dir, `${name}.pem`);
  await writeFile(`${path}.new`, `${made.certificate}${made.key}`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return made;
}

/** A client certificate of a user, good for as long as the server's own; kept by nobody but the caller. */
export function issueClient(
  { authority }: Credentials,
  { username, groups }: UserInfo,
  clock: Clock,
): Promise<KeyedCertificate> {
  const now = clock.now();
  return issueCertificate(authority, {
    commonName: username,
    organizations: [...groups],
    usages: ["client"],
    notBefore: now - 60_000,
    notAfter: now + validMs,
  });
}

/** @param user whose certificate it bears */
export function kubeconfigFor(url: string, { authority }: Credentials, user: KeyedCertificate): string {
  const name = "cdi-embedded";
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: url, "certificate-authority-data": base64(authority.certificate) } }],
    users: [
      { name, user: { "client-certificate-data": base64(user.certificate), "client-key-data": base64(user.key) } },
    ],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
    "current-context": name,
  });
}
