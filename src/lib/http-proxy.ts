// Which proxy a request goes through: the meaning Go gives to http_proxy, https_proxy and no_proxy, as a pure function.
import { BlockList, isIP } from "node:net";
import { Fault } from "./faults.ts";

/** Texts as they stand in the environment; empty or absent means none. */
export interface ProxySettings {
  /** For http URLs. "host:port" is read as http://host:port. May hold user:password@. */
  readonly http?: string | undefined;
  /** For https URLs, through CONNECT. */
  readonly https?: string | undefined;
  /** Comma list of hosts that are reached directly: name (and below), .name (only below), IP, CIDR, each with :port; or "*". */
  readonly noProxy?: string | undefined;
}

/** Reads the variables curl and Go read; the lower-case name wins. */
export function proxySettingsFrom(env: Readonly<Record<string, string | undefined>>): ProxySettings {
  return {
    http: env["http_proxy"] ?? env["HTTP_PROXY"],
    https: env["https_proxy"] ?? env["HTTPS_PROXY"],
    noProxy: env["no_proxy"] ?? env["NO_PROXY"],
  };
}

/** @returns the proxy's URL, or undefined to connect directly. @throws Fault ConfigInvalid for an unusable proxy text */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const text = (url.protocol === "https:" ? settings.https : settings.http)?.trim();
  if (!text || isExempt(url, settings.noProxy ?? "")) return undefined;
  return parseProxy(text);
}

function parseProxy(text: string): URL {
  const proxy = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (!proxy?.hostname || !["http:", "https:"].includes(proxy.protocol)) {
    throw new Fault("ConfigInvalid", "the proxy setting is not an http:// or https:// URL");
  }
  return proxy;
}

/** The host of a URL without the brackets of IPv6. */
export const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");
/** The port of a URL, the scheme's own when none is written. */
export const portOf = (url: URL): string => url.port || (url.protocol === "https:" ? "443" : "80");

/** Go never sends localhost and loopback addresses to a proxy, whatever no_proxy says. */
function isExempt(url: URL, noProxy: string): boolean {
  const host = bareHost(url).toLowerCase().replace(/\.$/, "");
  if (host === "localhost" || isLoopback(host)) return true;
  return noProxy.split(",").some((entry) => matches(entry.trim().toLowerCase(), host, portOf(url)));
}

const isLoopback = (host: string): boolean => (isIP(host) === 4 && host.startsWith("127.")) || host === "::1";

function matches(entry: string, host: string, port: string): boolean {
  if (entry === "") return false;
  if (entry === "*") return true;
  if (entry.includes("/")) return isInside(entry, host);
  const [name, entryPort] = splitPort(entry);
  if (entryPort !== undefined && entryPort !== port) return false;
  if (isIP(name) !== 0) return isInside(`${name}/${isIP(name) === 4 ? 32 : 128}`, host);
  const suffix = name.startsWith("*.") ? name.slice(1) : name;
  if (suffix.startsWith(".")) return host.endsWith(suffix);
  return host === suffix || host.endsWith(`.${suffix}`);
}

function isInside(cidr: string, host: string): boolean {
  const [network = "", bits = ""] = cidr.split("/");
  const family = isIP(network);
  const longest = family === 4 ? 32 : 128;
  if (family === 0 || isIP(host) === 0 || !/^\d+$/.test(bits) || Number(bits) > longest) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family === 4 ? "ipv4" : "ipv6");
  return list.check(host, isIP(host) === 4 ? "ipv4" : "ipv6");
}

/** "a:1" -> a, 1; "[::1]:1" -> ::1, 1; "::1" stays whole. */
function splitPort(entry: string): [string, string | undefined] {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  if (bracketed) return [bracketed[1] ?? "", bracketed[2]];
  const plain = /^([^:]+):(\d+)$/.exec(entry);
  return plain ? [plain[1] ?? "", plain[2]] : [entry, undefined];
}
