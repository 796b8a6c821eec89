// Certificates as node's own TLS sees them: names, usages, spans, and a real handshake.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/lib/clock.ts";
import { issueCertificate, makeAuthority, selfSigned } from "../../../src/pki/index.ts";

const noon = Date.UTC(2030, 0, 1, 12, 0, 0);
const fixedClock = { ...systemClock, now: () => noon };
const hour = 3_600_000;
const server = { commonName: "srv", usages: ["server"] as const, notBefore: noon, notAfter: noon + hour };

test("an authority can sign, and lasts as long as asked", async () => {
  const authority = new X509Certificate((await makeAuthority("our, =CA", hour, fixedClock)).certificate);
  expect(authority.ca).toBe(true);
  expect(authority.subject).toBe("CN=our\\, =CA");
  expect(authority.validToDate.getTime()).toBe(noon + hour);
  expect(authority.validFromDate.getTime()).toBeLessThanOrEqual(noon);
  expect(authority.verify(authority.publicKey)).toBe(true);
});

test("an issued certificate carries names, usages and its issuer's signature", async () => {
  const authority = await makeAuthority("ca", hour, fixedClock);
  const issuer = new X509Certificate(authority.certificate);
  const request = { ...server, dnsNames: ["a.test", "*.b.test"], ips: ["127.0.0.1", "::1"] };
  const made = await issueCertificate(authority, request);
  const certificate = new X509Certificate(made.certificate);
  expect(certificate.subjectAltName).toBe("DNS:a.test, DNS:*.b.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(certificate.ca).toBe(false);
  expect(certificate.checkIssued(issuer)).toBe(true);
  expect(certificate.verify(issuer.publicKey)).toBe(true);
  expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true);
  expect(certificate.checkHost("x.b.test")).toBe("*.b.test");
  expect(certificate.validFromDate.getTime()).toBe(noon);
});

test("a client certificate is not good for servers", async () => {
  const authority = await makeAuthority("ca", hour, fixedClock);
  const made = await issueCertificate(authority, { ...server, usages: ["client"] });
  expect(new X509Certificate(made.certificate).keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
});

test("serial numbers and keys are never the same twice", async () => {
  const made = await Promise.all([1, 2, 3].map(() => selfSigned(server)));
  expect(new Set(made.map(({ key }) => key)).size).toBe(3);
  expect(new Set(made.map(({ certificate }) => new X509Certificate(certificate).serialNumber)).size).toBe(3);
});

test("a name that is no IP address is refused", async () => {
  await expect(selfSigned({ ...server, ips: ["localhost"] })).rejects.toThrow("not an IP address");
});

test("an authority's PEM that is no certificate is refused", async () => {
  await expect(issueCertificate({ certificate: "x", key: "y" }, server)).rejects.toThrow();
});

test.each([
  { when: "signed by an authority the client trusts", own: false },
  { when: "self-signed and trusted as it is", own: true },
])("a TLS handshake succeeds with a certificate $when", async ({ own }) => {
  const now = Date.now();
  const request = { ...server, dnsNames: ["srv.test"], notBefore: now - 1000, notAfter: now + hour };
  const authority = await makeAuthority("ca", hour, systemClock);
  const made = own ? await selfSigned(request) : await issueCertificate(authority, request);
  const listener = createServer({ cert: made.certificate, key: made.key }, (socket) => socket.end("hello"));
  onTestFinished(() => void listener.close());
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const ca = own ? made.certificate : authority.certificate;
  const socket = connect({ port, host: "127.0.0.1", servername: "srv.test", ca });
  await once(socket, "secureConnect");
  expect(socket.authorized).toBe(true);
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
});
