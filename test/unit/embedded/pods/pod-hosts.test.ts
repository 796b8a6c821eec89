// The hosts file of a pod whose containers talk to each other.
import { expect, test } from "vitest";
import { hostsFrom } from "../../../../src/lib/http-hosts.ts";
import { hostsOfPod } from "../../../../src/embedded/pods/pod-hosts.ts";

test.each([
  { when: "a common file", text: "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 box\n" },
  { when: "names in capitals and comments", text: "# ours\n127.0.0.1\tLocalHost # itself\n\n127.0.1.1 box # me\n" },
  { when: "localhost beside another name", text: "127.0.1.1 box localhost\n" },
])("localhost is the pod's own address, other names stay: $when", ({ text }) => {
  const hosts = hostsFrom(hostsOfPod(text, "127.64.0.5"));
  expect({ localhost: hosts("localhost"), box: hosts("box"), other: hosts("ip6-localhost") }).toEqual({
    localhost: ["127.64.0.5"],
    box: ["127.0.1.1"],
    other: undefined,
  });
});

test("without a machine's file there is localhost", () => {
  expect(hostsOfPod("", "127.64.0.5")).toBe("127.64.0.5 localhost\n");
});
