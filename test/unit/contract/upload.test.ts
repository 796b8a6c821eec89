// The upload server's contract: what a controller writes is what the program reads, and which path means what.
import { describe, expect, test } from "vitest";
import { uploadEnv, uploadSpokenTo, type UploadConfig } from "../../../src/contract/upload-env.ts";
import { tusIdOf, uploadRouteOf } from "../../../src/contract/upload-routes.ts";

const bare: UploadConfig = {
  tlsKeyFile: undefined,
  tlsCertFile: undefined,
  clientCertFile: undefined,
  tlsKey: undefined,
  tlsCert: undefined,
  clientCert: undefined,
  filesystemOverhead: "0.06",
  imageSize: "1Gi",
  clientName: "client.upload-server.cdi.kubevirt.io",
  preallocation: true,
  tlsCiphers: "",
  tlsMinVersion: "VersionTLS12",
  destination: undefined,
  deadline: undefined,
  listenAddress: undefined,
  listenPort: undefined,
};
const current: UploadConfig = {
  ...bare,
  tlsKeyFile: "/etc/tls/tls.key",
  tlsCertFile: "/etc/tls/tls.crt",
  clientCertFile: "/etc/tls/ca.crt",
  destination: "/dev/cdi-block-volume",
  deadline: "2026-01-02T03:04:05Z",
  listenAddress: "10.0.0.1",
  listenPort: "9443",
};
const old: UploadConfig = { ...bare, tlsKey: "KEY", tlsCert: "CERT", clientCert: "CA", filesystemOverhead: "0.055" };
const asEnv = (config: UploadConfig): Record<string, string> =>
  Object.fromEntries(uploadEnv.write(config).map(({ name, value }) => [name, value]));

describe.each([
  { by: "a current controller", config: current, listener: "current", absent: "TLS_KEY" },
  { by: "a v1.56 controller", config: old, listener: "v1.56", absent: "TLS_KEY_FILE" },
])("written by $by", ({ config, listener, absent }) => {
  test("every field makes the round trip", () => expect(uploadEnv.read(asEnv(config))).toEqual(config));
  test("the release is told by the certificate's form", () => expect(uploadSpokenTo(config)).toBe(listener));
  test("the other release's names are left out", () => expect(asEnv(config)).not.toHaveProperty(absent));
});

test.each([
  ["/v1beta1/upload", "upload"],
  ["/v1alpha1/upload-async", "upload-async"],
  ["/v1alpha1/upload-archive", "upload-archive"],
  ["/v1beta1/upload-form", "upload-form"],
  ["/v1beta1/upload-form-async", "upload-form-async"],
  ["/v1/upload", undefined],
  ["/v1beta1/upload/", undefined],
  ["/v1beta1/upload-tus", undefined],
  ["/upload", undefined],
])("%s is the route %s", (path, name) => expect(uploadRouteOf(path)?.name).toBe(name));

test.each([
  ["/v1beta1/upload-tus", ""],
  ["/v1beta1/upload-tus/", ""],
  ["/v1beta1/upload-tus/0a1b-2C", "0a1b-2C"],
  ["/v1beta1/upload-tus/a/b", undefined],
  ["/v1beta1/upload-tus/..", undefined],
  ["/v1beta1/upload-tusk", undefined],
  ["/v1alpha1/upload-tus", undefined],
])("%s names the resumable upload %j", (path, id) => expect(tusIdOf(path)).toBe(id));
