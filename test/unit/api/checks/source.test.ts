// One row per check of a DataVolume's source (interfaces/admission.md section 2, checks 12-23).
import { describe, expect, test } from "vitest";
import { create, http, pvc, said, url, valid, withSource, type Fields } from "./builders.ts";

describe("the source", () => {
  const either = "Data volume should have either Source or SourceRef, or be externally populated";
  const registry = "spec.source.Registry";
  const imageio = { url, diskId: "1", secretRef: "s", certConfigMap: "c" };
  const vddk = { url, secretRef: "s", uuid: "u", backingFile: "b", thumbprint: "t" };
  const docker = "docker://quay.test/disk";
  test.each<[string, Fields, string, string]>([
    ["12: none", { pvc }, either, "spec.source"],
    ["12: source and sourceRef", { ...valid, sourceRef: { kind: "DataSource", name: "a" } }, either, "spec.source"],
    [
      "13: sourceRef without kind",
      { pvc, sourceRef: { kind: "", name: "a" } },
      "Missing sourceRef kind",
      "spec.sourceRef.Kind",
    ],
    [
      "13: sourceRef of another kind",
      { pvc, sourceRef: { kind: "Cat", name: "a" } },
      "Unsupported sourceRef kind Cat, currently only DataSource is supported",
      "spec.sourceRef.Kind",
    ],
    [
      "13: sourceRef without name",
      { pvc, sourceRef: { kind: "DataSource", name: "" } },
      "Missing sourceRef name",
      "spec.sourceRef.Name",
    ],
    ["14: an empty source", withSource({}), "Missing Data volume source", "spec.source"],
    ["14: two sources", withSource({ http, blank: {} }), "Multiple Data volume sources", "spec.source"],
    [
      "15: an unknown content type",
      { ...valid, contentType: "iso" },
      "ContentType not one of: kubevirt, archive",
      "spec.contentType",
    ],
    [
      "16: http without URL",
      withSource({ http: { url: "" } }),
      "spec.source source URL is empty",
      "spec.source.HTTP.url",
    ],
    [
      "16: s3 with a URL that cannot be parsed",
      withSource({ s3: { url: "http://a b/c" } }),
      "spec.source Invalid source URL: http://a b/c",
      "spec.source.S3.url",
    ],
    [
      "16: gcs with another scheme",
      withSource({ gcs: { url: "ftp://a/b" } }),
      "spec.source Invalid source URL scheme: ftp://a/b",
      "spec.source.GCS.url",
    ],
    [
      "16: http without a scheme",
      withSource({ http: { url: "server.test/disk" } }),
      "spec.source Invalid source URL scheme: server.test/disk",
      "spec.source.HTTP.url",
    ],
    [
      "16: imageio without URL",
      withSource({ imageio: { ...imageio, url: "" } }),
      "spec.source source URL is empty",
      "spec.source.ImageIO.url",
    ],
    [
      "16: vddk without URL",
      withSource({ vddk: { ...vddk, url: undefined } }),
      "spec.source source URL is empty",
      "spec.source.VDDK.url",
    ],
    [
      "18: blank archive",
      withSource({ blank: {} }, { contentType: "archive" }),
      "SourceType cannot be blank and the contentType be archive",
      "spec.contentType",
    ],
    [
      "19: registry archive",
      withSource({ registry: { url: docker } }, { contentType: "archive" }),
      "ContentType must be kubevirt when Source is Registry",
      "spec.contentType",
    ],
    [
      "20: registry with neither",
      withSource({ registry: {} }),
      "Source registry should have either URL or ImageStream",
      registry,
    ],
    [
      "20: registry with both",
      withSource({ registry: { url: docker, imageStream: "s" } }),
      "Source registry should have either URL or ImageStream",
      registry,
    ],
    [
      "20: registry URL that cannot be parsed",
      withSource({ registry: { url: "docker://%zz" } }),
      "Illegal registry source URL docker://%zz",
      `${registry}.URL`,
    ],
    [
      "20: registry URL of another scheme",
      withSource({ registry: { url } }),
      `Illegal registry source URL scheme ${url}`,
      `${registry}.URL`,
    ],
    [
      "20: unknown pull method",
      withSource({ registry: { url: docker, pullMethod: "dig" } }),
      'ImportMethod dig is neither pod, node or ""',
      `${registry}.importMethod`,
    ],
    [
      "20: empty stream",
      withSource({ registry: { imageStream: "", pullMethod: "node" } }),
      "Source registry ImageStream is not valid",
      `${registry}.importMethod`,
    ],
    [
      "20: stream without node pull",
      withSource({ registry: { imageStream: "s" } }),
      "Source registry ImageStream is supported only with node pull import method",
      `${registry}.importMethod`,
    ],
    [
      "21: imageio without secret",
      withSource({ imageio: { ...imageio, secretRef: "" } }),
      "spec.source.Imageio source Imageio is not valid",
      "spec.source.Imageio",
    ],
    [
      "21: imageio without disk",
      withSource({ imageio: { ...imageio, diskId: "" } }),
      "spec.source.Imageio source Imageio is not valid",
      "spec.source.Imageio",
    ],
    [
      "21: imageio without trust",
      withSource({ imageio: { ...imageio, certConfigMap: "" } }),
      "spec.source.Imageio source Imageio requires CertConfigMap or InsecureSkipVerify",
      "spec.source.Imageio",
    ],
    [
      "22: vddk without uuid",
      withSource({ vddk: { ...vddk, uuid: "" } }),
      "spec.source.VDDK source VDDK is not valid",
      "spec.source.VDDK",
    ],
    [
      "22: vddk without backing file",
      withSource({ vddk: { ...vddk, backingFile: "" } }),
      "spec.source.VDDK source VDDK is not valid",
      "spec.source.VDDK",
    ],
    ["16: s3 without URL", withSource({ s3: { url: "" } }), "spec.source source URL is empty", "spec.source.S3.url"],
    [
      "22: vddk without thumbprint",
      withSource({ vddk: { ...vddk, thumbprint: undefined } }),
      "spec.source.VDDK source VDDK is not valid",
      "spec.source.VDDK",
    ],
    [
      "23: clone without namespace",
      withSource({ pvc: { namespace: "", name: "a" } }),
      "spec.source.PVC source PVC is not valid",
      "spec.source.PVC",
    ],
    [
      "23: snapshot without name",
      withSource({ snapshot: { namespace: "a", name: "" } }),
      "spec.source.Snapshot source snapshot is not valid",
      "spec.source.Snapshot",
    ],
  ])("%s", (_when, spec, message, field) => {
    expect(create(spec)).toEqual(said(message, field));
  });

  test.each<[string, string, string]>([
    ["no colon", "deadbeef", "invalid checksum format: expected 'algorithm:hash', got 'deadbeef'"],
    ["no hash", "sha256:", "checksum hash value cannot be empty"],
    [
      "unknown algorithm",
      "crc32:abcd",
      "unsupported hash algorithm 'crc32': supported algorithms are: md5, sha1, sha256, sha512",
    ],
    [
      "a name every object has",
      "constructor:abcd",
      "unsupported hash algorithm 'constructor': supported algorithms are: md5, sha1, sha256, sha512",
    ],
    ["wrong length", "SHA1:abcd", "invalid sha1 hash length: expected 40 hex characters, got 4"],
    [
      "not hexadecimal",
      `md5:${"g".repeat(32)}`,
      "checksum hash is not valid hexadecimal: encoding/hex: invalid byte: U+0067 'g'",
    ],
  ])("17: checksum with %s", (_when, checksum, detail) => {
    expect(create(withSource({ http: { url, checksum } }))).toEqual(
      said(`Invalid checksum format: ${detail}`, "spec.source.HTTP.checksum"),
    );
  });

  test("16 and 17 are told together", () => {
    const fields = create(withSource({ http: { url: "", checksum: "x" } })).map((cause) => cause.field);
    expect(fields).toEqual(["spec.source.HTTP.url", "spec.source.HTTP.checksum"]);
  });
});
