// How an image wants to be run, from its configuration: JSON of strangers, read for what it is.
import type { RunConfig } from "../../src/contract/image-pull.ts";
import { Fault } from "../../src/lib/faults.ts";

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];

/** @throws Fault ImageCorrupt */
export function readRunConfig(bytes: Buffer): RunConfig {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new Fault("ImageCorrupt", "the image configuration is not JSON", { cause });
  }
  const { Entrypoint, Cmd, Env, WorkingDir, User } = fieldsOf(fieldsOf(value)["config"]);
  return {
    entrypoint: textsOf(Entrypoint),
    command: textsOf(Cmd),
    env: textsOf(Env).filter((line) => line.indexOf("=") > 0),
    workingDir: textOf(WorkingDir),
    user: textOf(User),
  };
}
