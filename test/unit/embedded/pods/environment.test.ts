// A container's environment.
import { expect, test } from "vitest";
import { ConfigMissing, environmentOf, expand } from "../../../../src/embedded/pods/environment.ts";
import type { Container, EnvVar, Pod } from "../../../../src/embedded/pods/pod-types.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "ns", uid: "u", labels: { "a/b": "label" } },
  spec: { containers: [] },
};
const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { key: "aGlkZGVu" } };
const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: { word: "open" } };
const sources = {
  secret: (name: string) => (name === "s" ? secret : undefined),
  configMap: (name: string) => (name === "c" ? configMap : undefined),
};
const envOf = (container: Partial<Container>) =>
  Object.fromEntries(environmentOf(pod, { name: "main", image: "i", ...container }, "127.64.0.1", sources));

const rows: { when: string; env: EnvVar; value: string | undefined }[] = [
  { when: "a value", env: { name: "X", value: "v" }, value: "v" },
  { when: "no value", env: { name: "X" }, value: "" },
  { when: "a secret", env: { name: "X", valueFrom: { secretKeyRef: { name: "s", key: "key" } } }, value: "hidden" },
  {
    when: "a config map",
    env: { name: "X", valueFrom: { configMapKeyRef: { name: "c", key: "word" } } },
    value: "open",
  },
  {
    when: "an optional key that is not there",
    env: { name: "X", valueFrom: { secretKeyRef: { name: "s", key: "no", optional: true } } },
    value: undefined,
  },
  {
    when: "the pod's address",
    env: { name: "X", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
    value: "127.64.0.1",
  },
  {
    when: "a label",
    env: { name: "X", valueFrom: { fieldRef: { fieldPath: "metadata.labels['a/b']" } } },
    value: "label",
  },
  { when: "a reference", env: { name: "X", value: "$(HOSTNAME)-$(NO)-$$(HOSTNAME)" }, value: "p-$(NO)-$(HOSTNAME)" },
];
test.each(rows)("$when", ({ env, value }) => {
  expect(envOf({ env: [env] })["X"]).toBe(value);
});

test.each([
  { ref: { secretKeyRef: { name: "none", key: "k" } }, message: 'secret "none" not found' },
  { ref: { configMapKeyRef: { name: "none", key: "k" } }, message: 'configmap "none" not found' },
  { ref: { secretKeyRef: { name: "s", key: "k" } }, message: "couldn't find key k in Secret ns/s" },
])("$message", ({ ref, message }) => {
  const missing = () => envOf({ env: [{ name: "X", valueFrom: ref }] });
  expect(missing).toThrow(ConfigMissing);
  expect(missing).toThrow(message);
});

test("all keys of an object, with a prefix", () => {
  expect(envOf({ envFrom: [{ prefix: "P_", configMapRef: { name: "c" } }] })).toMatchObject({ P_word: "open" });
});

test("its own address is always told", () => {
  expect(envOf({})).toMatchObject({ CDI_POD_IP: "127.64.0.1", HOSTNAME: "p" });
  expect(expand("$", new Map())).toBe("$");
});
