// Tools of this machine with their loader and libraries, for places that have none: a folder in a pod, an image.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pack } from "tar-stream";
import { linkedIn } from "../../src/embedded/pods/image-shell.ts";
import { buildImage, type BuiltImage, type ImageParts } from "./container-disk.ts";

export interface Tools {
  /** From here to there. */
  readonly files: readonly (readonly [from: string, to: string])[];
  /** The words that run one of them there. */
  readonly run: (name: string) => string;
}

export function toolsOfThisMachine(names: readonly string[], folder: string): Tools {
  const found = names.map((name) => execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim());
  const text = found.map((path) => execFileSync("ldd", [path], { encoding: "utf8" })).join("\n");
  const { loader, libraries } = linkedIn(text);
  if (loader === undefined) throw new Error("this machine's tools have no loader");
  const at = (path: string): string => join(folder, "lib", basename(path));
  return {
    files: [
      [loader, join(folder, "lib/ld.so")],
      ...[...new Set(libraries)].map((path) => [path, at(path)] as const),
      ...names.map((name, index) => [found[index] ?? "", join(folder, name)] as const),
    ],
    run: (name) => `${join(folder, "lib/ld.so")} --library-path ${join(folder, "lib")} ${join(folder, name)}`,
  };
}

/** An image that holds them and nothing else. @param more of the image, made with the words that run a tool in it */
export async function toolsImage(
  names: readonly string[],
  more: (run: Tools["run"]) => Omit<ImageParts, "layers"> = () => ({}),
): Promise<{ image: BuiltImage; run: Tools["run"] }> {
  const { files, run } = toolsOfThisMachine(names, "/tools");
  const archive = pack();
  for (const [from, to] of files) archive.entry({ name: to.slice(1), mode: 0o755 }, await readFile(from));
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return { image: buildImage({ ...more(run), layers: [Buffer.concat(chunks)] }), run };
}
