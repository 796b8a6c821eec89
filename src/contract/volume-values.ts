// Values about a pod's volume, read from its environment; what cannot be used joins the list of complaints.
import { parseQuantity } from "../lib/quantity.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Bytes of a quantity such as 5Gi; undefined when the variable is absent or empty. */
export function bytesIn(name: string, env: Environment, complaints: string[]): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  const bytes = parseQuantity(text);
  if (bytes === undefined || bytes < 0)
    complaints.push(`${name}: must be a quantity of bytes, is ${JSON.stringify(text)}`);
  return bytes;
}

/** A fraction from 0 to below 1; 0 when the variable is absent or empty. */
export function fractionIn(name: string, env: Environment, complaints: string[]): number {
  const text = env[name];
  if (!text) return 0;
  const fraction = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (fraction >= 0 && fraction < 1) return fraction;
  complaints.push(`${name}: must be a fraction from 0 to below 1, is ${JSON.stringify(text)}`);
  return 0;
}
