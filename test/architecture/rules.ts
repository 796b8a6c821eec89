// The tables the architecture tests hold: who may import whom, one door per package, and what is exempt from what, and why.

const openRooms = ["lib", "api", "contract"] as const;
const control = ["kube", "api", "contract", "pki", "telemetry", "lib"];
const dataProgram = ["datapath", "contract", "pki", "telemetry", "lib"];

/** docs/architecture.md, "Who may import whom". */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  api: ["lib"],
  pki: ["lib"],
  telemetry: ["lib"],
  datapath: ["lib"],
  contract: ["api", "lib"],
  kube: ["api", "telemetry", "lib"],
  controllers: control,
  apiserver: control,
  operator: control,
  uploadproxy: control,
  // Never kube: data pods hold no cluster credentials.
  importer: dataProgram,
  uploadserver: dataProgram,
  cloner: dataProgram,
  // Its bundle runs where there is no package, and in a stranger's image.
  imageserver: ["contract", "lib"],
  // Types only; see `typesOnly`.
  console: ["api"],
  // Data programs run as child processes only, so they are no import.
  embedded: ["controllers", "apiserver", "operator", "uploadproxy", "datapath", ...control],
  // And one of `startable`, never two.
  programs: ["kube", "pki", "telemetry", "lib"],
  cli: ["api", "contract", "kube", "embedded", "datapath", "importer", "console", "lib"],
};

/** Rooms a program under src/programs may start: each program one of them. */
export const startable: readonly string[] = ["controllers", "apiserver", "operator", "uploadproxy"];

/** From the key's room, imports of the value's rooms must be `import type`. */
export const typesOnly: Readonly<Record<string, readonly string[]>> = { console: ["api"] };

/** Rooms whose files are imported one by one; every other room has one door, index.ts. */
export const withoutDoor: readonly string[] = openRooms;

/** Where each third-party package may be imported. A package that is not here may not be imported at all. */
export const packageDoors: Readonly<Record<string, readonly RegExp[]>> = {
  "@kubernetes/client-node": [/^src\/kube\/client-node\.ts$/],
  "@peculiar/x509": [/^src\/pki\//],
  "@sinclair/typebox": [/^src\/api\//],
  ajv: [/^src\/api\//, /^src\/embedded\//],
  "classic-level": [/^src\/embedded\/store\//],
  commander: [/^src\/cli\//],
  jose: [/^src\/pki\//],
  koffi: [/^src\/lib\/syscalls[^/]*(\.ts|\/)/],
  "lzma-native": [/^src\/datapath\/decoders\/xz[^/]*\.ts$/],
  "p-queue": [/^src\/lib\/pool\.ts$/],
  pino: [/^src\/telemetry\//],
  "prom-client": [/^src\/telemetry\//],
  "reflect-metadata": [/^src\/pki\//],
  "tar-stream": [/^src\/datapath\/archive\.ts$/],
  undici: [/^src\/lib\/http[^/]*(\.ts|\/)/],
  yaml: [/^src\/(cli|embedded|operator)\//],
};

/** Files that may read process.env: where settings enter. */
export const mayReadEnv: readonly RegExp[] = [/(^|\/)main\.ts$/, /^src\/programs\//, /^(scripts|test|bench|bin)\//];

export const longestFile = 400;
/** path -> why it may be longer. Generated files and pure tables only. */
export const mayBeLonger: Readonly<Record<string, string>> = {};
