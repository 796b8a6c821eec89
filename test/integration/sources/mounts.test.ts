// Certificates and secret headers as kubelet mounts them: each key a link through "..data".
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readCertificateFile, readCertificates, readSecretHeaders } from "../../../importer/sources/index.ts";
import { selfSigned } from "../../../src/pki/index.ts";

async function folderOf(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cdi-mounts-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function mounted(folder: string, files: Record<string, string>): Promise<string> {
  await mkdir(join(folder, "..2030_01_01"), { recursive: true });
  await symlink("..2030_01_01", join(folder, "..data"));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, "..2030_01_01", name), text);
    await symlink(join("..data", name), join(folder, name));
  }
  return folder;
}

async function somePem(): Promise<string> {
  const now = Date.now();
  const made = await selfSigned({ commonName: "x", usages: ["server"], notBefore: now, notAfter: now + 1000 });
  return made.certificate;
}

test("every certificate of every file is read once, whatever the file's name", async () => {
  const [one, two, three] = await Promise.all([somePem(), somePem(), somePem()]);
  const folder = await mounted(await folderOf(), {
    "ca.pem": `# two\n${one}\n${two}`,
    "tls.crt": `${three}junk after`,
  });
  await mkdir(join(folder, "sub"));
  expect(await readCertificates(folder)).toEqual([one, two, three]);
});

test("no folder, or an empty one, holds none", async () => {
  const folder = await folderOf();
  expect(await readCertificates(folder)).toEqual([]);
  expect(await readCertificates(join(folder, "missing"))).toEqual([]);
  expect(await readSecretHeaders(join(folder, "missing"))).toEqual([]);
});

test.each([
  ["garbage", "hello"],
  ["an empty file", ""],
  ["a damaged block", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
  ["a key only", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
])("%s is ConfigInvalid and names the file", async (_, text) => {
  const folder = await mounted(await folderOf(), { "bad.pem": text });
  const reading = readCertificates(folder);
  await expect(reading).rejects.toMatchObject({ code: "ConfigInvalid" });
  await expect(reading).rejects.toThrow(join(folder, "bad.pem"));
});

test("a link to nowhere and a missing file are ConfigInvalid", async () => {
  const folder = await folderOf();
  await symlink("nowhere", join(folder, "ca.pem"));
  await expect(readCertificates(folder)).rejects.toMatchObject({ code: "ConfigInvalid" });
  await expect(readCertificateFile(join(folder, "none"))).rejects.toMatchObject({ code: "ConfigInvalid" });
});

test("secret headers come in the order of their folders, and print as nothing", async () => {
  const root = await folderOf();
  for (const [folder, text] of [
    ["10", "X-Three: c"],
    ["0", "X-One: a\n"],
    ["2", "X-Two: b"],
  ] as const) {
    await mkdir(join(root, folder));
    await mounted(join(root, folder), { header: text });
  }
  const headers = await readSecretHeaders(root);
  expect(headers.map((header) => header.reveal())).toEqual(["X-One: a", "X-Two: b", "X-Three: c"]);
  expect(String(headers)).not.toContain("X-One");
});
