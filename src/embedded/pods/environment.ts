// A container's environment and arguments: values, references to Secrets, ConfigMaps and fields, and $(NAME) expansion.
import { additiveEnv } from "../../contract/paths.ts";
import type { KubeObject } from "../../api/meta.ts";
import type { Container, EnvVar, Pod } from "./pod-types.ts";

/** What a container needs is not there (yet); becomes its waiting state CreateContainerConfigError. */
export class ConfigMissing extends Error {}

export interface EnvSources {
  secret(name: string): KubeObject | undefined;
  configMap(name: string): KubeObject | undefined;
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * @param imageEnv lines "NAME=value" of the image it runs in; what the pod says goes before them
 * @throws ConfigMissing naming the object or key that is not there
 */
export function environmentOf(
  pod: Pod,
  container: Container,
  podIp: string,
  sources: EnvSources,
  imageEnv: readonly string[] = [],
): Map<string, string> {
  const env = new Map<string, string>([
    ["PATH", defaultPath],
    ["HOME", "/"],
    ...imageEnv.map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
    ["HOSTNAME", pod.metadata.name ?? ""],
    [additiveEnv.podIp, podIp],
  ]);
  for (const { prefix = "", secretRef, configMapRef } of container.envFrom ?? []) {
    if (secretRef) addAll(env, prefix, textsOf("secret", secretRef, sources));
    if (configMapRef) addAll(env, prefix, textsOf("configmap", configMapRef, sources));
  }
  for (const one of container.env ?? []) {
    const value = valueOf(one, pod, podIp, sources);
    if (value !== undefined) env.set(one.name, expand(value, env));
  }
  return env;
}

const addAll = (env: Map<string, string>, prefix: string, texts: Record<string, string>): void => {
  for (const [key, value] of Object.entries(texts)) env.set(`${prefix}${key}`, value);
};

function valueOf({ value, valueFrom }: EnvVar, pod: Pod, podIp: string, sources: EnvSources): string | undefined {
  if (!valueFrom) return value ?? "";
  if (valueFrom.fieldRef) return fieldOf(pod, podIp, valueFrom.fieldRef.fieldPath);
  const kind = valueFrom.secretKeyRef ? "secret" : "configmap";
  const ref = valueFrom.secretKeyRef ?? valueFrom.configMapKeyRef;
  if (!ref) return undefined;
  const found = textsOf(kind, ref, sources)[ref.key];
  if (found === undefined && !ref.optional) {
    const shown = kind === "secret" ? "Secret" : "ConfigMap";
    throw new ConfigMissing(`couldn't find key ${ref.key} in ${shown} ${pod.metadata.namespace}/${ref.name}`);
  }
  return found;
}

function textsOf(kind: "secret" | "configmap", ref: { name: string; optional?: boolean }, sources: EnvSources) {
  const object = kind === "secret" ? sources.secret(ref.name) : sources.configMap(ref.name);
  if (!object && !ref.optional) throw new ConfigMissing(`${kind} "${ref.name}" not found`);
  const texts: Record<string, string> = {};
  for (const [key, bytes] of Object.entries(filesIn(object))) texts[key] = bytes.toString("utf8");
  return texts;
}

/** The keys of a Secret (base64) or ConfigMap as bytes. */
export function filesIn(object: KubeObject | undefined): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  const isSecret = object?.kind === "Secret";
  const texts = (object?.data ?? {}) as Record<string, string>;
  for (const [key, text] of Object.entries(texts)) files[key] = Buffer.from(text, isSecret ? "base64" : "utf8");
  const binary = (object?.binaryData ?? {}) as Record<string, string>;
  for (const [key, text] of Object.entries(binary)) files[key] = Buffer.from(text, "base64");
  return files;
}

function fieldOf(pod: Pod, podIp: string, path: string): string {
  const { name = "", namespace = "", uid = "", labels = {}, annotations = {} } = pod.metadata;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed) return (keyed[1] === "labels" ? labels : annotations)[keyed[2] ?? ""] ?? "";
  const fields: Record<string, string> = {
    "metadata.name": name,
    "metadata.namespace": namespace,
    "metadata.uid": uid,
    "spec.nodeName": pod.spec.nodeName ?? "",
    "status.podIP": podIp,
    "status.hostIP": "127.0.0.1",
  };
  const value = fields[path];
  if (value === undefined) throw new ConfigMissing(`field ${path} is not one this node offers`);
  return value;
}

/** $(NAME) of a known variable is replaced, $$(NAME) is $(NAME), anything else stays. */
export const expand = (text: string, env: ReadonlyMap<string, string>): string =>
  text.replaceAll(/\$\$|\$\(([^()]+)\)/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (env.get(name) ?? whole),
  );
