// Records of environment variables: the same table writes a pod's env and reads it in the pod (house-style rule 11).

export interface Variable<T> {
  readonly name: string;
  /** @returns the text, or undefined to leave the variable out */
  write(value: T): string | undefined;
  /** @throws Error with a sentence when the text is unusable */
  read(text: string | undefined): T;
}
export type Of<R> = R extends EnvRecord<infer C> ? C : never;

export interface EnvRecord<C> {
  readonly variables: Readonly<Record<keyof C, { readonly name: string }>>;
  write(config: C): { name: string; value: string }[];
  /** @throws EnvError naming every bad variable at once */
  read(env: Readonly<Record<string, string | undefined>>): C;
}

export class EnvError extends Error {
  readonly complaints: readonly string[];
  constructor(complaints: readonly string[]) {
    super(complaints.join("; "));
    this.name = "EnvError";
    this.complaints = complaints;
  }
}

type ConfigOf<S> = { [K in keyof S]: S[K] extends Variable<infer T> ? T : never };

export function record<S extends Record<string, Variable<unknown>>>(shape: S): EnvRecord<ConfigOf<S>> {
  const rows = Object.entries(shape);
  return {
    variables: shape as never,
    write(config) {
      return rows.flatMap(([field, variable]) => {
        const value = variable.write((config as Record<string, unknown>)[field]);
        return value === undefined ? [] : [{ name: variable.name, value }];
      });
    },
    read(env) {
      const complaints: string[] = [];
      const config: Record<string, unknown> = {};
      for (const [field, variable] of rows) {
        try {
          config[field] = variable.read(env[variable.name]);
        } catch (cause) {
          complaints.push(`${variable.name}: ${cause instanceof Error ? cause.message : String(cause)}`);
        }
      }
      if (complaints.length > 0) throw new EnvError(complaints);
      return config as never;
    },
  };
}

/** Text; absent reads as "". Always written, as upstream writes empty values. */
export const text = (name: string): Variable<string> => ({ name, write: (value) => value, read: (raw) => raw ?? "" });
/** Text written only when set. */
export const optionalText = (name: string): Variable<string | undefined> => ({
  name,
  write: (value) => value,
  read: (raw) => (raw === "" ? undefined : raw),
});
/** Go's strconv.ParseBool; absent or empty reads as false unless `required`. */
export const bool = (name: string, required = false): Variable<boolean> => ({
  name,
  write: (value) => (value ? "true" : "false"),
  read(raw) {
    if (raw === undefined || raw === "") {
      if (required) throw new Error("must be true or false, is empty");
      return false;
    }
    if (["1", "t", "T", "TRUE", "true", "True"].includes(raw)) return true;
    if (["0", "f", "F", "FALSE", "false", "False"].includes(raw)) return false;
    throw new Error(`must be true or false, is ${JSON.stringify(raw)}`);
  },
});
