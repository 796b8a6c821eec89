// CDIConfig's status: every knob with its default, and where the upload proxy is reached: an administrator's word, an Ingress, a
// Route, in this order.
import { expect, test } from "vitest";
import type { CdiConfigSpec, CdiConfigStatus } from "../../../src/api/cdi-config.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import {
  authorityPlace,
  decideConfig as decideAt,
  uploadProxyUrlOf,
  type ConfigFacts,
} from "../../../src/controllers/config/decide.ts";
import { knobsOf } from "../../../src/controllers/config/status.ts";
import { minutes } from "../../../src/lib/duration.ts";
import { certificatesIn, presentedFor } from "../../../src/pki/index.ts";
import { authorityNow, certificateNow } from "../../support/upload-stand-in.ts";
import { aConfig, aStorageClass } from "../../support/objects.ts";

const ingress = (spec: object): KubeObject => ({ apiVersion: "v1", kind: "Ingress", metadata: { name: "i" }, spec });
const proxy = { service: { name: "cdi-uploadproxy", port: { number: 443 } } };
const other = { service: { name: "web" } };
const byPath = ingress({
  rules: [
    { host: "web.test", http: { paths: [{ backend: other }] } },
    { host: "up.test", http: { paths: [{ backend: other }, { backend: proxy }] } },
  ],
});
const byDefault = ingress({ defaultBackend: proxy, rules: [{ host: "first.test" }] });
const foreign = ingress({ rules: [{ host: "web.test", http: { paths: [{ backend: other }] } }] });
const route: KubeObject = {
  apiVersion: "route.openshift.io/v1",
  kind: "Route",
  metadata: { name: "r" },
  spec: { to: { kind: "Service", name: "cdi-uploadproxy" } },
  status: { ingress: [{ host: "route.test" }] },
};
const { status: _, ...unsaid } = aConfig();
const decideConfig = (seen: ConfigFacts | undefined) => decideAt(seen, Date.now());
const facts = (parts: Partial<ConfigFacts> = {}): ConfigFacts => ({
  config: unsaid,
  storageClasses: [],
  ingresses: [],
  routes: [],
  ...parts,
});

test.each<{ when: string; seen: Partial<ConfigFacts>; url: string | undefined }>([
  { when: "nothing", seen: {}, url: undefined },
  { when: "an ingress to something else", seen: { ingresses: [foreign] }, url: undefined },
  { when: "an ingress by path", seen: { ingresses: [foreign, byPath] }, url: "up.test" },
  { when: "an ingress by default", seen: { ingresses: [byDefault] }, url: "first.test" },
  { when: "a route", seen: { routes: [route] }, url: "route.test" },
  { when: "a route and an ingress", seen: { routes: [route], ingresses: [byPath] }, url: "up.test" },
  {
    when: "an administrator's word",
    seen: {
      config: { ...aConfig(), spec: { uploadProxyURLOverride: "https://own.test:31001" } },
      ingresses: [byPath],
    },
    url: "https://own.test:31001",
  },
])("$when", ({ seen, url }) => expect(uploadProxyUrlOf(facts(seen))).toBe(url));

/** The facts after what was decided on them was done. */
function after(seen: ConfigFacts): ConfigFacts {
  const [step] = decideConfig(seen).steps;
  if (step?.do !== "patch") return seen;
  const status = { ...seen.config.status, ...(step.body as { status: CdiConfigStatus }).status };
  return { ...seen, config: { ...seen.config, status } };
}

test("it is written once, and taken back when nothing leads there", () => {
  const seen = facts({ ingresses: [byPath] });
  expect(decideConfig(seen).steps).toMatchObject([{ do: "patch", body: { status: { uploadProxyURL: "up.test" } } }]);
  expect(decideConfig(after(seen)).steps).toEqual([]);
  expect(decideConfig({ ...after(seen), ingresses: [] }).steps).toMatchObject([
    { body: { status: { uploadProxyURL: null } } },
  ]);
});

test("one that is not there is made", () => {
  expect(decideConfig(undefined).steps).toMatchObject([
    { do: "create", object: { kind: "CDIConfig", metadata: { name: "config" }, spec: {} } },
  ]);
});

test("what others say in the status stays", () => {
  const spec = { uploadProxyURLOverride: "own.test" };
  const seen = facts({ config: { ...unsaid, spec, status: { uploadProxyCA: "PEM" } } });
  expect(after(seen).config.status).toMatchObject({ uploadProxyCA: "PEM", preallocation: false });
});

const shipped = { limits: { cpu: "750m", memory: "600M" }, requests: { cpu: "100m", memory: "60M" } };
const proxies = { HTTPProxy: "http://proxy.test:3128", noProxy: "inside.test", trustedCAProxy: "ca" };
test.each<{ when: string; spec: CdiConfigSpec; knobs: CdiConfigStatus }>([
  {
    when: "nothing is asked",
    spec: {},
    knobs: {
      preallocation: false,
      scratchSpaceStorageClass: "",
      defaultPodResourceRequirements: shipped,
      filesystemOverhead: { global: "0.06", storageClass: { fast: "0.06", slow: "0.06" } },
    },
  },
  { when: "preallocation", spec: { preallocation: true }, knobs: { preallocation: true } },
  {
    when: "a scratch class",
    spec: { scratchSpaceStorageClass: "slow" },
    knobs: { scratchSpaceStorageClass: "slow" },
  },
  {
    when: "a scratch class that is not there",
    spec: { scratchSpaceStorageClass: "gone" },
    knobs: { scratchSpaceStorageClass: "" },
  },
  {
    when: "one limit of pods; what is no processor and no memory is left out",
    spec: { podResourceRequirements: { limits: { memory: "1G", "ephemeral-storage": "1G" } } },
    knobs: { defaultPodResourceRequirements: { ...shipped, limits: { cpu: "750m", memory: "1G" } } },
  },
  {
    when: "overheads",
    spec: { filesystemOverhead: { global: "0.1", storageClass: { slow: "0.25", gone: "0.5" } } },
    knobs: { filesystemOverhead: { global: "0.1", storageClass: { fast: "0.1", slow: "0.25" } } },
  },
  {
    when: "overheads that are no shares",
    spec: { filesystemOverhead: { global: "much", storageClass: { slow: "2" } } },
    knobs: { filesystemOverhead: { global: "0.06", storageClass: { fast: "0.06" } } },
  },
  { when: "proxies", spec: { importProxy: proxies }, knobs: { importProxy: proxies } },
  { when: "pull secrets", spec: { imagePullSecrets: [{ name: "a" }] }, knobs: { imagePullSecrets: [{ name: "a" }] } },
])("knobs: $when", ({ spec, knobs }) => {
  const storageClasses = [aStorageClass("slow"), aStorageClass("fast")];
  expect(knobsOf(spec, storageClasses)).toMatchObject(knobs);
});

test("a proxy that is not asked for any more goes", () => {
  const config = { ...unsaid, spec: { importProxy: proxies } };
  const seen = after(facts({ config }));
  expect(seen.config.status?.importProxy).toEqual(proxies);
  expect(decideConfig({ ...seen, config: { ...seen.config, spec: {} } }).steps).toMatchObject([
    { body: { status: { importProxy: null } } },
  ]);
});

const secured = {
  ...byPath,
  spec: { ...(byPath["spec"] as object), tls: [{ secretName: "up-tls" }, { secretName: "b" }] },
};
test.each<{ when: string; seen: Partial<ConfigFacts>; place: object | undefined }>([
  { when: "nothing", seen: {}, place: undefined },
  { when: "an ingress without TLS", seen: { ingresses: [byPath], routes: [route] }, place: undefined },
  {
    when: "an ingress with TLS",
    seen: { ingresses: [foreign, secured], routes: [route] },
    place: { kind: { kind: "Secret" }, name: "up-tls", key: "tls.crt" },
  },
  { when: "a route", seen: { routes: [route] }, place: { kind: { kind: "ConfigMap" }, name: "kube-root-ca.crt" } },
  {
    when: "an administrator's word",
    seen: { ingresses: [secured], config: { ...unsaid, spec: { uploadProxyURLOverride: "own.test" } } },
    place: undefined,
  },
])("whom to trust: $when", ({ seen, place }) => {
  const found = authorityPlace(facts(seen));
  if (place === undefined) expect(found).toBeUndefined();
  else expect(found).toMatchObject(place);
});

test("the certificate that bears the proxy's name is told, and goes with the ingress", async () => {
  const authority = await authorityNow("authority");
  const names = (name: string) => certificateNow(authority, name, "server", { dnsNames: [name] });
  const [own, other] = [await names("up.test"), await names("web.test")];
  const bundle = [other, own, authority].map(({ certificate }) => certificate).join("");
  const seen = facts({ ingresses: [secured], authority: bundle });
  const { status } = after(seen).config;
  expect(certificatesIn(status?.uploadProxyCA ?? "")).toEqual(certificatesIn(own.certificate + authority.certificate));
  // A renewed Secret is nobody's event.
  expect(decideConfig(seen).lookAgainInMs).toBe(600_000);
  expect(decideConfig(after(seen)).lookAgainInMs).toBe(600_000);
  expect(decideConfig(facts()).lookAgainInMs).toBeUndefined();
  expect(decideConfig(after(seen)).steps).toEqual([]);
  expect(decideConfig(facts({ config: after(seen).config })).steps).toMatchObject([
    { body: { status: { uploadProxyCA: null } } },
  ]);
});

test("which certificates are told: none that has ended; all that are valid where none bears the name", async () => {
  const authority = await authorityNow("authority");
  const { certificate } = await certificateNow(authority, "web.test", "server", { dnsNames: ["web.test"] });
  const both = certificate + authority.certificate;
  expect(certificatesIn(presentedFor("up.test", both, Date.now()) ?? "")).toEqual(certificatesIn(both));
  expect(presentedFor("web.test", certificate, Date.now() + minutes(60))).toBeUndefined();
  expect(presentedFor("web.test", "no certificate", Date.now())).toBeUndefined();
});
