// What a registry import takes apart without a network: names, challenges, auth files, platforms, manifests, labels.
import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../../importer/sources/registry/challenge.ts";
import { credentialsFrom } from "../../../importer/sources/registry/credentials.ts";
import { labelsFromEnv } from "../../../importer/sources/registry/labels.ts";
import { readManifest, type ImageIndex } from "../../../importer/sources/registry/manifest.ts";
import { chooseFromIndex } from "../../../importer/sources/registry/platform.ts";
import { apiHost, parseImageReference } from "../../../importer/sources/registry/reference.ts";

describe("names of images", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  test.each([
    { text: "docker://quay.io/a/b:c", is: ["quay.io", "a/b", "c"] },
    { text: "docker://quay.io/a/b", is: ["quay.io", "a/b", "latest"] },
    { text: `docker://quay.io/a/b@${digest}`, is: ["quay.io", "a/b", digest] },
    { text: "docker://fedora", is: ["docker.io", "library/fedora", "latest"] },
    { text: "docker://kubevirt/fedora:v1", is: ["docker.io", "kubevirt/fedora", "v1"] },
    { text: "docker://index.docker.io/library/x", is: ["docker.io", "library/x", "latest"] },
    { text: "docker://localhost/x", is: ["localhost", "x", "latest"] },
    { text: "docker://10.0.0.1:5000/x/y:1", is: ["10.0.0.1:5000", "x/y", "1"] },
    { text: "docker://[fd00::1]:5000/x:1", is: ["[fd00::1]:5000", "x", "1"] },
  ])("$text", ({ text, is }) => {
    const reference = parseImageReference(text);
    if (reference.transport !== "docker") throw new Error("no docker reference");
    expect([reference.host, reference.repository, reference.tagOrDigest]).toEqual(is);
    expect(reference.isDigest).toBe(text.includes("@"));
  });

  test("docker.io answers under another name", () => expect(apiHost("docker.io")).toBe("registry-1.docker.io"));

  test.each([
    ["fedora", 'Could not parse image: Invalid image name "fedora", expected colon-separated transport:reference'],
    ["ftp://x/y", 'Could not parse image: Invalid image name "ftp://x/y", unknown transport'],
    ["docker:x", "Could not parse image: docker: image reference x does not start with //"],
    [`docker://x/y:1@${digest}`, "Could not parse image: Docker references with both a tag and digest"],
    ["docker://x.io/../y", "invalid reference format"],
    ["docker://x.io/a/b?c", "invalid reference format"],
    ["docker://user:word@x.io/a", "Could not parse image"],
    ["docker://x.io/A", "invalid reference format"],
    ["docker://x.io/a:b:c", "invalid reference format"],
    ["docker://x.io/a@sha256:12", "invalid reference format"],
    ["oci-archive:", "a path is missing"],
  ])("%s is refused", (text, says) => expect(() => parseImageReference(text)).toThrow(says));
});

describe("challenges", () => {
  test.each([
    {
      header: 'Bearer realm="https://auth.example.org/token",service="registry",scope="repository:a/b:pull,push"',
      is: [
        {
          scheme: "bearer",
          parameters: {
            realm: "https://auth.example.org/token",
            service: "registry",
            scope: "repository:a/b:pull,push",
          },
        },
      ],
    },
    { header: "Basic realm=x", is: [{ scheme: "basic", parameters: { realm: "x" } }] },
    {
      header: 'Negotiate, Basic realm="a \\"b\\"", Bearer realm="r"',
      is: [
        { scheme: "negotiate", parameters: {} },
        { scheme: "basic", parameters: { realm: 'a "b"' } },
        { scheme: "bearer", parameters: { realm: "r" } },
      ],
    },
    { header: "", is: [] },
  ])("$header", ({ header, is }) => expect(parseChallenges(header)).toEqual(is));
});

describe("auth files", () => {
  const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
  const file = JSON.stringify({
    auths: {
      "https://index.docker.io/v1/": auth("hub:1"),
      "quay.io": auth("all:2"),
      "quay.io/team": auth("team:a:b"),
      "quay.io/team/x": { username: "x", password: "3" },
      "tokens.io": { registrytoken: "t" },
      "empty.io": {},
      "identity.io": { identitytoken: "marked" },
    },
  });
  test.each([
    ["docker.io", "library/x", "hub 1"],
    ["quay.io", "other/x", "all 2"],
    ["quay.io", "teams/x", "all 2"],
    ["quay.io", "team/y", "team a:b"],
    ["quay.io", "team/x", "x 3"],
    ["tokens.io", "x", "token t"],
    ["empty.io", "x", undefined],
    ["quay.io:443", "x", undefined],
    ["nowhere.io", "x", undefined],
  ])("%s/%s", (host, repository, is) => {
    const found = credentialsFrom(file, host, repository);
    const shown =
      found?.kind === "token" ? `token ${found.token.reveal()}` : found && `${found.user} ${found.password.reveal()}`;
    expect(shown).toBe(is);
  });

  test("what cannot be used is said without quoting it", () => {
    expect(() => credentialsFrom('{"auths": {"marked"', "x", "y")).toThrow("the registry's auth file is not JSON");
    expect(() => credentialsFrom(file, "identity.io", "y")).toThrow(/identity token.* not .*yet$/);
  });
});

describe("platforms", () => {
  const index = (rows: readonly (readonly [string, string, string?])[]): ImageIndex => ({
    kind: "index",
    manifests: rows.map(([architecture, os, variant = ""], at) => ({
      mediaType: "m",
      digest: `sha256:${at}`,
      sizeBytes: 1,
      annotations: {},
      platform: { architecture, os, variant },
    })),
  });
  test.each([
    { when: "the only one", rows: [["amd64", "linux"]], wants: "amd64", is: 0 },
    {
      when: "another system's is passed over",
      rows: [
        ["amd64", "windows"],
        ["amd64", "linux"],
      ],
      wants: "amd64",
      is: 1,
    },
    {
      when: "no variant before a later one",
      rows: [
        ["amd64", "linux", "v3"],
        ["amd64", "linux"],
      ],
      wants: "amd64",
      is: 1,
    },
    {
      when: "v8 of arm64",
      rows: [
        ["arm64", "linux", "v9"],
        ["arm64", "linux", "v8"],
      ],
      wants: "arm64",
      is: 1,
    },
    {
      when: "attestations are of no architecture",
      rows: [
        ["unknown", "unknown"],
        ["s390x", "linux"],
      ],
      wants: "s390x",
      is: 1,
    },
  ] as const)("$when", ({ rows, wants, is }) => {
    expect(chooseFromIndex(index(rows), wants).digest).toBe(`sha256:${is}`);
  });
});

describe("manifests that are not read", () => {
  const descriptor = { mediaType: "m", digest: `sha256:${"0".repeat(64)}`, size: 1 };
  test.each([
    { when: "no JSON", text: "{", code: "ImageCorrupt" },
    { when: "a list", text: "[]", code: "ImageCorrupt" },
    { when: "nothing in it", text: "{}", code: "ImageCorrupt" },
    { when: "schema 1", text: '{"schemaVersion":1}', code: "FormatUnsupported" },
    {
      when: "an index and an image at once",
      text: JSON.stringify({ manifests: [], layers: [], config: descriptor }),
      code: "ImageCorrupt",
    },
    {
      when: "a digest that leads elsewhere",
      text: JSON.stringify({ config: descriptor, layers: [{ ...descriptor, digest: "sha256:../../x" }] }),
      code: "ImageCorrupt",
    },
    {
      when: "a negative size",
      text: JSON.stringify({ config: descriptor, layers: [{ ...descriptor, size: -1 }] }),
      code: "ImageCorrupt",
    },
    {
      when: "a digest of an unknown kind",
      text: JSON.stringify({ config: { ...descriptor, digest: `md5:${"0".repeat(32)}` }, layers: [] }),
      code: "ImageCorrupt",
    },
    {
      when: "two thousand layers",
      text: JSON.stringify({ config: descriptor, layers: Array.from({ length: 2000 }, () => descriptor) }),
      code: "ImageCorrupt",
    },
  ])("$when", ({ text, code }) => {
    expect(() => readManifest(Buffer.from(text), "")).toThrow(expect.objectContaining({ code }));
  });
});

test.each([
  ["INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=fedora", { "instancetype.kubevirt.io/default-preference": "fedora" }],
  ["KUBEVIRT_IO_X=Y=Z", { "kubevirt.io/x": "Y=Z" }],
  ["A_B__KUBEVIRT_IO_C_D=", { "a.b.kubevirt.io/c-d": "" }],
  ["KUBEVIRT_I0_X=1", {}],
  ["PATH=KUBEVIRT_IO_X", {}],
])("label of %s", (line, is) => expect(labelsFromEnv([line])).toEqual(is));
