// The importer's environment: what the controller's table writes is what the program reads.
import { expect, test } from "vitest";
import { readArguments } from "../../../src/lib/pod-arguments.ts";
import { readSettings } from "../../../importer/settings.ts";
import { EnvError } from "../../../src/contract/env.ts";
import { extraHeaderName, importerEnv, type ImporterConfig } from "../../../src/contract/importer-env.ts";

const full: ImporterConfig = {
  source: "http",
  endpoint: "https://host/disk.qcow2",
  contentType: "kubevirt",
  imageSize: "5Gi",
  ownerUid: "uid-1",
  filesystemOverhead: "0.06",
  insecureTls: true,
  diskId: "d",
  uuid: "u",
  pullMethod: "pod",
  readyFile: "/shared/ready",
  doneFile: "/shared/done",
  backingFile: "b",
  thumbprint: "t",
  httpProxy: "http://proxy:1",
  httpsProxy: "http://proxy:2",
  noProxy: "localhost",
  currentCheckpoint: "c",
  previousCheckpoint: "p",
  finalCheckpoint: "false",
  preallocation: true,
  cacheMode: "",
  registryImageArchitecture: "arm64",
  checksum: "sha256:00",
  accessKeyId: "user",
  secretKey: "word",
  certDir: "/certs",
  proxyCertDir: "/proxycerts/",
  format: "raw",
  registryAuth: "{}",
  addressRules: undefined,
};
const asEnv = (config: ImporterConfig): Record<string, string> =>
  Object.fromEntries(importerEnv.write(config).map(({ name, value }) => [name, value]));

test("every field of the table makes the round trip", () => {
  expect(readSettings(asEnv(full)).config).toEqual(full);
});

test("texts become values, fixed paths go under CDI_ROOT", () => {
  const env = {
    ...asEnv(full),
    CDI_ROOT: "/srv/pod",
    CDI_VOLUME_BYTES: "1048576",
    CDI_POD_IP: "127.1.2.3",
    CDI_HOSTS: "/srv/hosts",
    [extraHeaderName(0)]: "X-A: 1",
    [extraHeaderName(10)]: "X-C: 3",
    [extraHeaderName(2)]: "X-B: 2",
  };
  const { path, ...settings } = readSettings(env);
  expect(settings).toMatchObject({
    listener: "current",
    requestBytes: 5 * 2 ** 30,
    overhead: 0.06,
    extraHeaders: ["X-A: 1", "X-B: 2", "X-C: 3"],
    volumeBytes: 2 ** 20,
    hostsFile: "/srv/hosts",
    listenAddress: "127.1.2.3",
  });
  expect(path("disk")).toBe("/srv/pod/data/disk.img");
});

test("without the additive variables everything is where upstream has it", () => {
  const { path, listenAddress, volumeBytes } = readSettings(asEnv(full));
  expect({ disk: path("disk"), listenAddress, volumeBytes }).toEqual({
    disk: "/data/disk.img",
    listenAddress: "0.0.0.0",
    volumeBytes: undefined,
  });
});

test("a controller of v1.56 is known by the variables it does not set", () => {
  const { CACHE_MODE: _cache, IMPORTER_CHECKSUM: _checksum, ...old } = asEnv(full);
  expect(readSettings(old).listener).toBe("v1.56");
});

test("all complaints come at once", () => {
  const env = {
    ...asEnv(full),
    PREALLOCATION: "",
    INSECURE_TLS: "maybe",
    IMPORTER_IMAGE_SIZE: "5 Gig",
    FILESYSTEM_OVERHEAD: "1.5",
  };
  const read = () => readSettings(env);
  expect(read).toThrow(EnvError);
  for (const name of ["PREALLOCATION", "INSECURE_TLS", "IMPORTER_IMAGE_SIZE", "FILESYSTEM_OVERHEAD"])
    expect(read).toThrow(name);
});

test.each([
  { args: [], verbosity: 1, unknown: [], asksVersion: false },
  { args: ["-v=3", "-alsologtostderr"], verbosity: 3, unknown: [], asksVersion: false },
  { args: ["--v=5", "--alsologtostderr=true"], verbosity: 5, unknown: [], asksVersion: false },
  { args: ["-v", "2"], verbosity: 2, unknown: [], asksVersion: false },
  {
    args: ["-vmodule=x", "--what", "word", "-v=1"],
    verbosity: 1,
    unknown: ["-vmodule=x", "--what", "word"],
    asksVersion: false,
  },
  { args: ["--version"], verbosity: 1, unknown: [], asksVersion: true },
])("arguments $args", ({ args, ...read }) => {
  expect(readArguments(args)).toEqual(read);
});
