// Addresses that imports may not connect to, in every spelling, and their honest neighbours.
import { describe, expect, test } from "vitest";
import { addressPolicy } from "../../../src/lib/address-policy.ts";

const inPod = addressPolicy({ inPod: true });
const outside = addressPolicy({ inPod: false });

const refusedEverywhere = [
  "169.254.169.254",
  "169.254.0.1",
  "169.254.255.255",
  "fe80::1",
  "fe80::1%eth0",
  "febf:ffff::1",
  "fd00:ec2::254",
  "fd00:0ec2:0:0:0:0:0:254",
  "168.63.129.16",
  "100.100.100.200",
  "0.0.0.0",
  "0.1.2.3",
  "::",
  "0:0:0:0:0:0:0:0",
  "224.0.0.1",
  "239.255.255.255",
  "255.255.255.255",
  "ff02::1",
  "ff0e::1",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "0:0:0:0:0:ffff:169.254.169.254",
  "::ffff:0:169.254.169.254",
  "::ffff:100.100.100.200",
  "::ffff:0.0.0.0",
  "64:ff9b::169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::169.254.169.254",
  "64:ff9b::168.63.129.16",
  "2002:a9fe:a9fe::1",
  "::169.254.169.254",
  "::ffff:224.0.0.1",
];
const refusedInPods = [
  "127.0.0.1",
  "127.1.2.3",
  "127.255.255.254",
  "::1",
  "0:0:0:0:0:0:0:1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "64:ff9b::127.0.0.1",
  "2002:7f00:1::",
  "::127.0.0.1",
];
const honest = [
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "169.253.255.255",
  "169.255.0.1",
  "168.63.129.17",
  "100.100.100.201",
  "100.64.0.1",
  "1.0.0.1",
  "223.255.255.255",
  "128.0.0.1",
  "126.255.255.255",
  "fd00:ec2::253",
  "fec0::1",
  "2001:db8::1",
  "::ffff:10.0.0.1",
  "64:ff9b::8.8.8.8",
  "2002:808:808::1",
  "fc00::1",
];

describe("in every place", () => {
  test.each(refusedEverywhere)("%s is refused", (address) => {
    expect([inPod.denies(address, 80), outside.denies(address, 80)]).toEqual([expect.any(String), expect.any(String)]);
  });
  test.each(honest)("%s is allowed", (address) => {
    expect([inPod.denies(address, 80), outside.denies(address, 80)]).toEqual([undefined, undefined]);
  });
});

describe("loopback", () => {
  test.each(refusedInPods)("%s is refused in a pod, and allowed elsewhere", (address) => {
    expect(inPod.denies(address, 80)).toBe("a loopback address");
    expect(outside.denies(address, 80)).toBeUndefined();
  });
  test.each(["127.0.0.1", "::1"])("%s on the port of node pull is allowed in a pod", (address) => {
    expect(inPod.denies(address, 8100)).toBeUndefined();
  });
});

describe("an administrator's list", () => {
  test.each([
    { rules: "deny:10.0.0.0/8", address: "10.1.1.1", allowed: false },
    { rules: "deny:10.0.0.0/8", address: "11.1.1.1", allowed: true },
    { rules: "allow:10.0.0.5,deny:10.0.0.0/8", address: "10.0.0.5", allowed: true },
    { rules: "deny:10.0.0.0/8,allow:10.0.0.5", address: "10.0.0.5", allowed: false },
    { rules: "deny:10.0.0.0/8", address: "::ffff:10.1.1.1", allowed: false },
    { rules: "allow:169.254.169.254", address: "169.254.169.254", allowed: true },
    { rules: "allow:loopback", address: "127.0.0.1", allowed: true },
    { rules: "allow:loopback", address: "::1", allowed: true },
    { rules: " allow:loopback , deny:2001:db8::/32 ", address: "2001:db8::7", allowed: false },
    { rules: "deny:0.0.0.0/0,deny:::/0", address: "8.8.8.8", allowed: false },
  ])("$rules: $address allowed $allowed", ({ rules, address, allowed }) => {
    expect(addressPolicy({ inPod: true, rules }).denies(address, 80) === undefined).toBe(allowed);
  });

  test.each(["allow", "permit:10.0.0.0/8", "deny:10.0.0.0/33", "deny:example.org", "deny:10.0.0.0/8/8", "allow:"])(
    "%j is no rule",
    (rules) => {
      expect(() => addressPolicy({ inPod: true, rules })).toThrow(expect.objectContaining({ code: "ConfigInvalid" }));
    },
  );
});
