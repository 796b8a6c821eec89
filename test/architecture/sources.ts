// Reads the tree as the architecture tests see it: files, their rooms, and every import in them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";

export const root = join(import.meta.dirname, "../..");

/** Rooms that stand beside src/. */
export const programRooms = ["importer", "imageserver", "uploadserver", "uploadproxy", "cloner"] as const;
const shippedFolders = ["src", ...programRooms];
const otherFolders = ["test", "scripts", "bench", "bin"];

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  path: string;
  text: string;
}
export interface Import {
  from: string;
  /** Repository path for a relative import, else the specifier. */
  to: string;
  own: boolean;
}

/** What is shipped: src/ and the programs beside it. */
export const shippedFiles = (): SourceFile[] => shippedFolders.flatMap(filesUnder);
/** What is shipped and what builds and tests it. */
export const allFiles = (): SourceFile[] => [...shippedFolders, ...otherFolders].flatMap(filesUnder);

function filesUnder(folder: string): SourceFile[] {
  const entries = listed(join(root, folder)).filter(
    (entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name) && !entry.parentPath.includes("node_modules"),
  );
  return entries.map((entry) => {
    const full = join(entry.parentPath, entry.name);
    return { path: relative(root, full).split(sep).join("/"), text: readFileSync(full, "utf8") };
  });
}

function listed(folder: string) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}

const importForms = [
  /^[ \t]*(?:import|export)\b(?:[^;"'`]*?\bfrom)?\s*["']([^"'\n]+)["']/gm,
  /\b(?:import|require|require\.resolve|import\.meta\.resolve)\(\s*["']([^"'\n]+)["']/g,
];

/** Static, type-only, re-exporting and dynamic imports alike. */
export function importsOf({ path, text }: SourceFile): Import[] {
  const code = withoutComments(text);
  const specifiers = importForms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1] ?? ""));
  return [...new Set(specifiers)].map((specifier) => {
    const own = specifier.startsWith(".");
    return { from: path, to: own ? posix.normalize(posix.join(dirname(path), specifier)) : specifier, own };
  });
}

/** Whole-line comments and block comments that start a line; code with a comment behind it stays. */
export const withoutComments = (text: string): string =>
  text.replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, "").replaceAll(/^[ \t]*\/\/.*$/gm, "");

/** "datapath" for src/datapath/x.ts, "importer" for importer/x.ts, "" for what is no room (tests, scripts). */
export function roomOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  if (first === "src") return second;
  return (programRooms as readonly string[]).includes(first) ? first : "";
}

/** The package of a specifier: "@a/b" of "@a/b/c"; "" for node's own modules. */
export function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return "";
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}
