// What a container in an image of others runs, and as whom: from its pod's words and the image's.
import { expect, test } from "vitest";
import type { RunConfig } from "../../../../src/contract/image-pull.ts";
import { identityOf } from "../../../../src/embedded/pods/container-identity.ts";
import { argvInImage, argvOfOwn } from "../../../../src/embedded/pods/container-image.ts";
import { environmentOf } from "../../../../src/embedded/pods/environment.ts";
import { linkedIn } from "../../../../src/embedded/pods/image-shell.ts";
import type { Container, Pod, PodSpec } from "../../../../src/embedded/pods/pod-types.ts";

const config = (said: Partial<RunConfig> = {}): RunConfig => ({
  entrypoint: ["/entry"],
  command: ["serve"],
  env: [],
  workingDir: "",
  user: "",
  ...said,
});
const container = (said: Partial<Container> = {}): Container => ({ name: "server", image: "x/y:1", ...said });
const podOf = (spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "default", uid: "u" },
  spec: { containers: [], ...spec },
});

test.each<{ when: string; said: Partial<Container>; image?: Partial<RunConfig>; argv: string[] }>([
  { when: "nothing is said", said: {}, argv: ["/entry", "serve"] },
  { when: "arguments are", said: { args: ["-v"] }, argv: ["/entry", "-v"] },
  { when: "a command is: the image's words are out", said: { command: ["/run"] }, argv: ["/run"] },
  { when: "both are", said: { command: ["/run"], args: ["-v"] }, argv: ["/run", "-v"] },
  { when: "neither says anything", said: {}, image: { entrypoint: [], command: [] }, argv: [] },
])("in an image, when $when", ({ said, image, argv }) => {
  expect(argvInImage(container(said), config(image))).toEqual(argv);
});

test.each<{ when: string; said: Partial<Container>; argv: string[] }>([
  { when: "by its image", said: {}, argv: ["node", "importer.js"] },
  { when: "with arguments", said: { args: ["-v=1"] }, argv: ["node", "importer.js", "-v=1"] },
  {
    when: "by a command's first word",
    said: { command: ["/usr/bin/x", "-a"], args: ["b"] },
    argv: ["node", "x.js", "-a", "b"],
  },
  { when: "by a command nobody knows", said: { command: ["sh", "-c", "true"] }, argv: ["sh", "-c", "true"] },
])("one of our own programs $when", ({ said, argv }) => {
  const images = { "x/y:1": ["node", "importer.js"], "/usr/bin/x": ["node", "x.js"] };
  expect(argvOfOwn(container(said), images)).toEqual(argv);
});

test.each<{ when: string; spec?: Partial<PodSpec>; said?: Partial<Container>; user?: string; is: [number, number] }>([
  { when: "the pod", spec: { securityContext: { runAsUser: 107 } }, user: "5:6", is: [107, 107] },
  { when: "the container", said: { securityContext: { runAsUser: 8, runAsGroup: 9 } }, user: "5:6", is: [8, 9] },
  { when: "the image", user: "5:6", is: [5, 6] },
  { when: "the image, without a group", user: "5", is: [5, 5] },
])("who it is says $when", ({ spec, said, user = "", is }) => {
  const { uid, gid } = identityOf(podOf(spec), container(said), config({ user }));
  expect([uid, gid]).toEqual(is);
});

test.each<{ when: string; spec?: Partial<PodSpec>; user: string; says: RegExp }>([
  { when: "root by the pod", spec: { securityContext: { runAsUser: 0 } }, user: "5", says: /as root/ },
  { when: "root's group", spec: { securityContext: { runAsUser: 5, runAsGroup: 0 } }, user: "5", says: /as root/ },
  { when: "root by the image", user: "0", says: /as root/ },
  { when: "nobody in particular, which is root", user: "", says: /as root/ },
  { when: "a name", user: "nginx", says: /the image's user "nginx" is no number/ },
])("refused: $when", ({ spec, user, says }) => {
  expect(() => identityOf(podOf(spec), container(), config({ user }))).toThrow(says);
});

test("our own programs may be root, and are 1001 when nobody says who they are", () => {
  expect(identityOf(podOf({ securityContext: { runAsUser: 0 } }), container()).uid).toBe(0);
  expect(identityOf(podOf(), container()).uid).toBe(1001);
});

test("an image's variables give way to the pod's and to what every container is told", () => {
  const env = [{ name: "A", value: "pod" }];
  const lines = ["A=image", "B=x=y", "PATH=/image", "HOSTNAME=image", "CDI_POD_IP=10.0.0.1"];
  const sources = { secret: () => undefined, configMap: () => undefined };
  expect(Object.fromEntries(environmentOf(podOf(), container({ env }), "127.64.0.1", sources, lines))).toEqual({
    A: "pod",
    B: "x=y",
    PATH: "/image",
    HOME: "/",
    HOSTNAME: "p",
    CDI_POD_IP: "127.64.0.1",
  });
});

test.each([
  {
    when: "glibc",
    text: "\tlinux-vdso.so.1 (0x00007ffd8)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n",
    linked: { loader: "/lib64/ld-linux-x86-64.so.2", libraries: ["/lib/x86_64-linux-gnu/libc.so.6"] },
  },
  {
    when: "arm64",
    text: "\tlinux-vdso.so.1 (0x0000ffff)\n\tlibc.so.6 => /lib/libc.so.6 (0x0000fff1)\n\t/lib/ld-linux-aarch64.so.1 (0x0000fff2)\n",
    linked: { loader: "/lib/ld-linux-aarch64.so.1", libraries: ["/lib/libc.so.6"] },
  },
  {
    when: "musl",
    text: "\t/lib/ld-musl-x86_64.so.1 (0x7f1)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f1)\n",
    linked: { loader: "/lib/ld-musl-x86_64.so.1", libraries: ["/lib/ld-musl-x86_64.so.1"] },
  },
  { when: "nothing", text: "", linked: { libraries: [] } },
])("what ldd says of a shell linked with $when", ({ text, linked }) => {
  expect(linkedIn(text)).toEqual(linked);
});
