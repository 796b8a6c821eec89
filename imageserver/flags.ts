// The image server's flags, in the spelling Go programs take: `-p 8100`, `-p=8100`, `--p=8100`. Pure.

export interface ServerFlags {
  /** Default 8100. */
  readonly port: number;
  /** Default ".". */
  readonly imageDir: string;
  /** Default none. */
  readonly readyFile: string | undefined;
  /** Default none: then it serves until it is stopped. */
  readonly doneFile: string | undefined;
  /** Serves nothing and copies itself there, with all it needs to be started in an image without a libc. */
  readonly copyTo: string | undefined;
  readonly asksHelp: boolean;
}

export const usage = `Usage of cdi-containerimage-server:
  -copy-to string
        copy this program and all it runs on into this folder, and end
  -done-file string
        end when this file appears, and remove it
  -image-dir string
        folder with the one image to serve (default ".")
  -p int
        port on localhost (default 8100)
  -ready-file string
        write the image's file name there once it is served
`;

const known = new Set(["p", "image-dir", "ready-file", "done-file", "copy-to"]);

/** @throws Error with a sentence for a flag that is not known or lacks its value */
export function readFlags(args: readonly string[]): ServerFlags {
  const given = new Map<string, string>();
  let asksHelp = false;
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? "";
    const [, name, inline] = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/.exec(arg) ?? [];
    // As Go does: the first word that is no flag ends them.
    if (name === undefined) break;
    if (name === "h" || name === "help") {
      asksHelp = true;
      break;
    }
    if (!known.has(name)) throw new Error(`flag provided but not defined: -${name}`);
    const value = inline ?? args[(index += 1)];
    if (value === undefined) throw new Error(`flag needs an argument: -${name}`);
    given.set(name, value);
  }
  const port = given.get("p") ?? "8100";
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`invalid value ${JSON.stringify(port)} for flag -p: not a port`);
  }
  return {
    port: Number(port),
    imageDir: given.get("image-dir") ?? ".",
    readyFile: given.get("ready-file") || undefined,
    doneFile: given.get("done-file") || undefined,
    copyTo: given.get("copy-to") || undefined,
    asksHelp,
  };
}
