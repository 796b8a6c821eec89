// The release this is, from package.json alone.
import manifest from "../../package.json" with { type: "json" };

/** Such as "1.66.0-cdi.1". */
export const version: string = manifest.version;
