// When certificates are made anew, and what is trusted meanwhile.
import { mkdtemp, rename, rm, symlink, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/lib/clock.ts";
import {
  bearsNames,
  bundleWith,
  certificatesIn,
  isDue,
  isSignedBy,
  issueCertificate,
  makeAuthority,
  watchFiles,
} from "../../../src/pki/index.ts";

const noon = Date.UTC(2030, 0, 1, 12);
const hour = 3_600_000;
const at = (ms: number) => ({ ...systemClock, now: () => ms });
const lifetime = { durationMs: 24 * hour, renewBeforeMs: 12 * hour };

test.each([
  { when: "fresh", nowMs: noon, due: false },
  { when: "just before its half", nowMs: noon + 12 * hour - 1000, due: false },
  { when: "at its half", nowMs: noon + 12 * hour, due: true },
  { when: "ended", nowMs: noon + 25 * hour, due: true },
])("a certificate that is $when", async ({ nowMs, due }) => {
  const { certificate } = await makeAuthority("ca", 24 * hour, at(noon));
  expect(isDue(certificate, lifetime, nowMs)).toBe(due);
});

test.each([undefined, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])(
  "one that is not there or damaged is due: %j",
  (certificate) => expect(isDue(certificate, lifetime, noon)).toBe(true),
);

test("a bundle keeps earlier authorities until they end, the present one first", async () => {
  const first = await makeAuthority("first", 48 * hour, at(noon));
  const second = await makeAuthority("second", 48 * hour, at(noon + 24 * hour));
  const both = bundleWith(second.certificate, first.certificate, noon + 24 * hour);
  expect(certificatesIn(both)).toEqual([second.certificate, first.certificate]);
  expect(bundleWith(second.certificate, both, noon + 24 * hour)).toBe(both);
  expect(certificatesIn(bundleWith(second.certificate, both, noon + 49 * hour))).toEqual([second.certificate]);
  const request = {
    commonName: "a",
    usages: ["server"] as const,
    dnsNames: ["a.test"],
    notBefore: noon,
    notAfter: noon,
  };
  const { certificate } = await issueCertificate(first, request);
  expect(isSignedBy(certificate, both)).toBe(true);
  expect(isSignedBy(certificate, second.certificate)).toBe(false);
});

test("names are asked for one by one", async () => {
  const authority = await makeAuthority("ca", hour, at(noon));
  const request = { commonName: "a", usages: ["server"] as const, notBefore: noon, notAfter: noon + hour };
  const { certificate } = await issueCertificate(authority, { ...request, dnsNames: ["a.test"], ips: ["127.0.0.1"] });
  expect(bearsNames(certificate, { dnsNames: ["a.test"], ips: ["127.0.0.1"] })).toBe(true);
  expect(bearsNames(certificate, { dnsNames: ["b.test"] })).toBe(false);
  expect(bearsNames(certificate, { ips: ["127.0.0.2"] })).toBe(false);
});

test("a client's name may pass 64 characters", async () => {
  const authority = await makeAuthority("ca", hour, at(noon));
  const commonName = `${"n".repeat(63)}/${"c".repeat(100)}-${"m".repeat(63)}/${"d".repeat(100)}`;
  const request = { commonName, usages: ["client"] as const, notBefore: noon, notAfter: noon + hour };
  const { certificate } = await issueCertificate(authority, request);
  expect(isSignedBy(certificate, authority.certificate)).toBe(true);
});

test("files are read again when a mounted Secret swaps its link, and kept when the new ones cannot be used", async () => {
  const dir = await mkdtemp(join(tmpdir(), "cdi-watch-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const swap = async (version: string, text: string): Promise<void> => {
    await mkdir(join(dir, version));
    await writeFile(join(dir, version, "tls.crt"), text);
    await symlink(version, join(dir, "..new"));
    await rename(join(dir, "..new"), join(dir, "..data"));
  };
  await swap("..1", "one");
  await symlink("..data/tls.crt", join(dir, "tls.crt"));
  const seen: string[] = [];
  const troubles: unknown[] = [];
  const take = (texts: readonly string[]): void => {
    seen.push(...texts);
    if (texts.includes("bad")) throw new Error("unusable");
  };
  const files = await watchFiles([join(dir, "tls.crt")], take, (cause) => troubles.push(cause));
  onTestFinished(() => files.close());
  expect(files.texts).toEqual(["one"]);
  await swap("..2", "two");
  await expect.poll(() => files.texts).toEqual(["two"]);
  await swap("..3", "bad");
  await expect.poll(() => troubles.length).toBeGreaterThan(0);
  expect(files.texts).toEqual(["two"]);
});
