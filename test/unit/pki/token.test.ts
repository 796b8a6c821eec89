// Tokens: signed as upstream signs, good for five minutes and ten seconds, and for nobody who altered them.
import { generateKeyPairSync, verify } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { apiServerIssuer, shortTokenMs, uploadClaims, uploadTargetOf } from "../../../src/contract/token.ts";
import { makeSigningKey, signToken, verifyToken, type SigningKey } from "../../../src/pki/index.ts";

const noon = Date.UTC(2030, 0, 1, 12);
let key: SigningKey;
beforeAll(async () => {
  key = await makeSigningKey();
});
const signed = (claims: object = uploadClaims("ns", "disk"), issuer = apiServerIssuer): Promise<string> =>
  signToken(claims, { privateKey: key.privateKey, issuer, nowMs: noon, lifetimeMs: shortTokenMs });
const part = (token: string, at: number): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[at] ?? "", "base64url").toString()) as Record<string, unknown>;

test("the keys have upstream's forms", () => {
  expect(key.privateKey).toMatch(/^-----BEGIN RSA PRIVATE KEY-----/);
  expect(key.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----/);
});

test("a token says what upstream's says, signed PS256", async () => {
  const token = await signed();
  expect(part(token, 0)).toMatchObject({ alg: "PS256" });
  expect(part(token, 1)).toEqual({
    operation: "Upload",
    name: "disk",
    namespace: "ns",
    resource: { group: "", version: "v1", resource: "persistentvolumeclaims" },
    iss: "cdi-apiserver",
    iat: noon / 1000,
    nbf: noon / 1000,
    exp: noon / 1000 + 300,
  });
  const [header, payload, signature = ""] = token.split(".");
  const padding = { key: key.publicKey, padding: 6, saltLength: 32 };
  expect(verify("sha256", Buffer.from(`${header}.${payload}`), padding, Buffer.from(signature, "base64url"))).toBe(
    true,
  );
});

test.each([
  { when: "at once", atMs: 0, good: true },
  { when: "ten seconds before its time, for clocks differ", atMs: -10_000, good: true },
  { when: "eleven seconds before its time", atMs: -11_000, good: false },
  { when: "five minutes and nine seconds later", atMs: 309_000, good: true },
  { when: "five minutes and eleven seconds later", atMs: 311_000, good: false },
])("a token $when", async ({ atMs, good }) => {
  const checking = { publicKey: key.publicKey, issuer: apiServerIssuer, nowMs: noon + atMs };
  expect((await verifyToken(await signed(), checking)) !== undefined).toBe(good);
});

const altered = (token: string): string => {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const claims = { ...part(token, 1), name: "another" };
  return [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".").replace(payload, "");
};
const unsigned = (token: string): string =>
  `${Buffer.from('{"alg":"none"}').toString("base64url")}.${token.split(".")[1] ?? ""}.`;

test.each([
  { when: "altered", make: async () => altered(await signed()) },
  { when: "unsigned", make: async () => unsigned(await signed()) },
  { when: "of another issuer", make: () => signed(uploadClaims("ns", "disk"), "cdi-deployment") },
  { when: "no token", make: async () => Promise.resolve("abc") },
  {
    when: "of another key",
    async make() {
      const privateKeyEncoding = { type: "pkcs8", format: "pem" } as const;
      const publicKeyEncoding = { type: "spki", format: "pem" } as const;
      const other = generateKeyPairSync("rsa", { modulusLength: 2048, privateKeyEncoding, publicKeyEncoding });
      const signing = { privateKey: other.privateKey, issuer: apiServerIssuer, nowMs: noon, lifetimeMs: shortTokenMs };
      return signToken(uploadClaims("ns", "disk"), signing);
    },
  },
])("refuses a token that is $when", async ({ make }) => {
  const checking = { publicKey: key.publicKey, issuer: apiServerIssuer, nowMs: noon };
  expect(await verifyToken(await make(), checking)).toBeUndefined();
});

const resource = { group: "", version: "v1", resource: "persistentvolumeclaims" };
test.each([
  { when: "ours", claims: { ...uploadClaims("ns", "disk") }, target: { namespace: "ns", name: "disk" } },
  {
    when: "v1.56's spelling",
    claims: { opertation: "Upload", name: "disk", namespace: "ns", resource },
    target: { namespace: "ns", name: "disk" },
  },
  { when: "to clone", claims: { operation: "Clone", name: "disk", namespace: "ns", resource }, target: undefined },
  { when: "without a name", claims: { operation: "Upload", namespace: "ns", resource }, target: undefined },
  { when: "without a namespace", claims: { operation: "Upload", name: "disk", resource }, target: undefined },
  {
    when: "for another kind",
    claims: { operation: "Upload", name: "disk", namespace: "ns", resource: { ...resource, resource: "pods" } },
    target: undefined,
  },
  { when: "without a resource", claims: { operation: "Upload", name: "disk", namespace: "ns" }, target: undefined },
])("leave to upload: claims $when", ({ claims, target }) => expect(uploadTargetOf(claims)).toEqual(target));
