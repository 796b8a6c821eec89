// Where the upload proxy is reached: an administrator's word, an Ingress, a Route, in this order.
import { expect, test } from "vitest";
import type { KubeObject } from "../../../src/api/meta.ts";
import { decideConfig, uploadProxyUrlOf, type ConfigFacts } from "../../../src/controllers/config/decide.ts";
import { aConfig } from "../../support/objects.ts";

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
const facts = (parts: Partial<ConfigFacts> = {}): ConfigFacts => ({
  config: aConfig(),
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

test("it is written once, and taken back when nothing leads there", () => {
  const [step] = decideConfig(facts({ ingresses: [byPath] })).steps;
  expect(step).toMatchObject({ do: "patch", body: { status: { uploadProxyURL: "up.test" } } });
  const config = aConfig({ status: { uploadProxyURL: "up.test" } });
  expect(decideConfig(facts({ config, ingresses: [byPath] })).steps).toEqual([]);
  expect(decideConfig(facts({ config })).steps).toMatchObject([{ body: { status: { uploadProxyURL: null } } }]);
  expect(decideConfig(undefined).steps).toEqual([]);
});
