// The image server's flags as Go programs take them, and the ranges it hands out.
import { expect, test } from "vitest";
import { rangeOf } from "../../../imageserver/answer.ts";
import { copiesOf, deafened } from "../../../imageserver/copy.ts";
import { readFlags } from "../../../imageserver/flags.ts";
import { loopbacks } from "../../../imageserver/listen.ts";
import { serverCommand } from "../../../src/contract/node-pull.ts";

const none = {
  port: 8100,
  imageDir: ".",
  readyFile: undefined,
  doneFile: undefined,
  copyTo: undefined,
  asksHelp: false,
};
test.each<[when: string, args: string[], flags: object]>([
  ["none at all", [], none],
  [
    "as upstream's controller gives them",
    ["-p", "8100", "-image-dir", "/disk", "-ready-file", "/shared/ready", "-done-file", "/shared/done"],
    { ...none, imageDir: "/disk", readyFile: "/shared/ready", doneFile: "/shared/done" },
  ],
  [
    "as ours does",
    serverCommand.slice(7),
    { ...none, imageDir: "/disk", readyFile: "/shared/ready", doneFile: "/shared/done" },
  ],
  ["with two dashes and an equals sign", ["--p=0", "--copy-to=/a=b"], { ...none, port: 0, copyTo: "/a=b" }],
  ["help, which is all the digest poller asks for", ["-h"], { ...none, asksHelp: true }],
  ["a word that is no flag ends them", ["-p", "1", "stop", "-p", "2"], { ...none, port: 1 }],
])("flags: %s", (_, args, flags) => {
  expect(readFlags(args)).toEqual(flags);
});

test.each([
  ["an unknown flag", ["-port", "1"], "flag provided but not defined: -port"],
  ["no value", ["-image-dir"], "flag needs an argument: -image-dir"],
  ["a port that is none", ["-p", "70000"], 'invalid value "70000" for flag -p: not a port'],
])("%s is refused", (_, args, text) => {
  expect(() => readFlags(args)).toThrow(text);
});

test.each<[header: string | undefined, sizeBytes: number, range: ReturnType<typeof rangeOf>]>([
  [undefined, 100, undefined],
  ["bytes=0-", 100, { first: 0, last: 99 }],
  ["bytes=10-19", 100, { first: 10, last: 19 }],
  ["bytes=90-1000", 100, { first: 90, last: 99 }],
  ["bytes=-10", 100, { first: 90, last: 99 }],
  ["bytes=-1000", 100, { first: 0, last: 99 }],
  ["bytes=-0", 100, "unsatisfiable"],
  ["bytes=100-", 100, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=20-10", 100, undefined],
  ["bytes=0-1,5-6", 100, undefined],
  ["bytes=-", 100, undefined],
  ["lines=1-2", 100, undefined],
])("range %s of %i bytes", (header, sizeBytes, range) => {
  expect(rangeOf(header, sizeBytes)).toEqual(range);
});

test.each([
  ["nothing", undefined, ["127.0.0.1", "::1"]],
  ["a pod of embedded mode", "127.4.5.6", ["127.4.5.6"]],
  ["an image that would have the disk seen from outside", "0.0.0.0", ["127.0.0.1", "::1"]],
  ["a name", "127.attacker.test", ["127.0.0.1", "::1"]],
])("told by %s, it listens on the loopback", (_, podIp, addresses) => {
  expect(loopbacks(podIp)).toEqual(addresses);
});

test.each([
  ["x64", "/lib64/ld-linux-x86-64.so.2"],
  ["arm64", "/lib/ld-linux-aarch64.so.1"],
])("the loader of %s is copied under one name", (_, loader) => {
  const loaded = ["linux-vdso.so.1", "/lib/libc.so.6", loader];
  expect(copiesOf({ executable: "/opt/node", loaded, program: "/app/x.mjs" }, "/shared")).toEqual([
    ["/opt/node", "/shared/node"],
    ["/app/x.mjs", "/shared/server.mjs"],
    [loader, "/shared/lib/ld.so"],
    ["/lib/libc.so.6", "/shared/lib/libc.so.6"],
  ]);
});

test("the copied loader does not know of the image's list of libraries", () => {
  const loader = Buffer.from("x/etc/ld.so.preload\0y/etc/ld.so.cache\0/etc/ld.so.preload\0");
  expect(deafened(loader).toString()).toBe("x\0etc/ld.so.preload\0y/etc/ld.so.cache\0\0etc/ld.so.preload\0");
});

test("a runtime without a loader cannot be copied", () => {
  expect(() => copiesOf({ executable: "/n", loaded: ["/lib/libc.so.6"], program: "/p" }, "/s")).toThrow(
    "no dynamic loader",
  );
});
