// For a program that loads much and then only passes bytes on.
import { setFlagsFromString } from "node:v8";

/**
 * The space for what is young stays as small as it begins. Loading packages makes it grow to 2 x 16 MiB, and V8 does not give
 * them back while bytes pass (docs/adr/0033). To be called before the packages are loaded.
 */
export function keepYoungSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
