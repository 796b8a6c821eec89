// Names of what an import is done with (interfaces/importer.md 2.1).
import { nameFor } from "../../contract/names.ts";

export const importerPodName = (claim: string): string => nameFor("importer", claim);
export const scratchClaimName = (claim: string): string => nameFor(claim, "scratch");
export const proxyConfigMapName = (claim: string): string => nameFor("import-proxy-cm", claim);
