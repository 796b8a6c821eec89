// Which addresses a data program may connect to: asked for the address a name really resolved to, at each connection, so that
// neither a redirect nor a name that resolves otherwise the second time leads inside (compat.md, "Address policy").
import { BlockList, isIP } from "node:net";
import { Fault } from "./faults.ts";

export interface AddressPolicy {
  /** @returns why not, in a few words; undefined when it may be connected to */
  denies(address: string, port: number): string | undefined;
}

interface Rule {
  readonly allow: boolean;
  readonly what: string;
  readonly list: BlockList;
  /** Only connections to this port; any when absent. */
  readonly port?: number;
}

/** Denied wherever a data program runs: no disk image is served from there, and secrets are. */
const alwaysDenied: readonly [networks: readonly string[], what: string][] = [
  [["169.254.0.0/16", "fe80::/10"], "a link-local address, where clouds serve credentials"],
  [["fd00:ec2::254/128", "168.63.129.16/32", "100.100.100.200/32"], "a cloud's metadata service"],
  [["0.0.0.0/8", "::/128"], "the unspecified address"],
  [["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"], "a multicast or broadcast address"],
];
const loopback: readonly string[] = ["127.0.0.0/8", "::1/128"];
/** Node pull: the image server in the importer's own pod (interfaces/registry.md 5). */
const nodePullPort = 8100;

const names: Readonly<Record<string, readonly string[]>> = { loopback };

export interface AddressPolicyOptions {
  /** In a pod the loopback is the pod's own and of no use but for node pull; elsewhere samples and tests live there. */
  readonly inPod: boolean;
  /** An administrator's list, `addressRules` of CDI_ADDRESS_POLICY: asked first, in order. */
  readonly rules?: string | undefined;
}

/**
 * @param rules `allow:10.1.0.0/16,deny:192.168.0.0/16,allow:loopback`: the first that fits decides, then the defaults do
 * @throws Fault ConfigInvalid naming the rule that cannot be read
 */
export function addressPolicy({ inPod, rules = "" }: AddressPolicyOptions): AddressPolicy {
  const table: Rule[] = [
    ...rulesFrom(rules),
    ...alwaysDenied.map(([networks, what]) => ({ allow: false, what, list: listOf(networks) })),
    ...(inPod
      ? [
          { allow: true, what: "", list: listOf(loopback), port: nodePullPort },
          { allow: false, what: "a loopback address", list: listOf(loopback) },
        ]
      : []),
  ];
  return {
    denies(address, port) {
      for (const form of formsOf(address)) {
        const rule = table.find((one) => (one.port === undefined || one.port === port) && holds(one.list, form));
        if (rule && !rule.allow) return rule.what;
      }
      return undefined;
    },
  };
}

/** @throws Fault AddressDenied. @param where the origin that was to be reached, without secrets */
export function refuseAddress(policy: AddressPolicy, address: string, port: number, where: string): void {
  const why = policy.denies(address, port);
  if (why === undefined) return;
  throw new Fault("AddressDenied", `connecting to ${where} was refused: ${address} is ${why}`);
}

const holds = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits = ""] = network.split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

function rulesFrom(text: string): Rule[] {
  const words = text.split(",").map((word) => word.trim());
  return words.filter((word) => word !== "").map(ruleFrom);
}

function ruleFrom(word: string): Rule {
  const [, act, network = ""] = /^(allow|deny):(.+)$/.exec(word) ?? [];
  const networks = names[network] ?? [network.includes("/") ? network : `${network}/${isIP(network) === 6 ? 128 : 32}`];
  if (act === undefined || !networks.every(isNetwork)) {
    const form = "rules are allow:NETWORK or deny:NETWORK, where NETWORK is an address, a CIDR or loopback";
    throw new Fault("ConfigInvalid", `${JSON.stringify(word)} is no rule of an address policy: ${form}`);
  }
  return { allow: act === "allow", what: "denied by the administrator's list", list: listOf(networks) };
}

function isNetwork(text: string): boolean {
  const [address = "", bits = "", ...more] = text.split("/");
  const family = isIP(address);
  return family !== 0 && more.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

/** The address itself, and the IPv4 address that an IPv6 one stands for. */
function formsOf(address: string): string[] {
  const bare = address.replace(/%.*$/, "");
  if (isIP(bare) !== 6) return [bare];
  const inner = embeddedIn(wordsOf(bare));
  return inner === undefined ? [bare] : [bare, inner];
}

/** Sixteen-bit words of an IPv6 address; the URL parser knows all its spellings. */
function wordsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const read = (text: string | undefined): number[] =>
    text ? text.split(":").map((word) => Number.parseInt(word, 16)) : [];
  const front = read(head);
  const back = read(tail);
  return [...front, ...Array.from({ length: 8 - front.length - back.length }, () => 0), ...back];
}

/** IPv4 in IPv6: mapped (RFC 4291), translated (RFC 6052, also the local-use prefix of RFC 8215), compatible, 6to4. */
function embeddedIn(words: readonly number[]): string | undefined {
  const starts = (...prefix: number[]): boolean => prefix.every((word, at) => words[at] === word);
  const last = v4Of(words[6], words[7]);
  if (starts(0, 0, 0, 0, 0, 0xffff) || starts(0, 0, 0, 0, 0xffff, 0)) return last;
  if (starts(0x64, 0xff9b)) return last;
  if (starts(0x2002)) return v4Of(words[1], words[2]);
  // ::1 and :: are addresses of their own.
  if (starts(0, 0, 0, 0, 0, 0) && (words[6] !== 0 || (words[7] ?? 0) > 1)) return last;
  return undefined;
}

const v4Of = (high = 0, low = 0): string => [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
