// What an image is lent by this machine: a shell that starts its program, with its loader and libraries, since it may have none;
// and where names are looked up.
import { realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { runTool } from "../run-tool.ts";
import { bindOf, type Mount } from "./launch.ts";
import { imageShell } from "./pod-script.ts";

export interface Linked {
  /** Absent for a program that needs none. */
  readonly loader?: string;
  readonly libraries: readonly string[];
}

/** @param text what ldd prints: "libc.so.6 => /lib/libc.so.6 (0x7f...)", "/lib64/ld-linux-x86-64.so.2 (0x7f...)". Pure. */
export function linkedIn(text: string): Linked {
  const libraries: string[] = [];
  let loader: string | undefined;
  for (const line of text.split("\n")) {
    const [, left = "", right] = /^\s*(\S+)(?: => (\S+))? \(0x[0-9a-f]+\)$/.exec(line) ?? [];
    const path = right ?? left;
    if (!path.startsWith("/")) continue;
    if (/^ld(-|64|\.)[^/]*\.so/.test(basename(left))) loader ??= path;
    else libraries.push(path);
  }
  return loader === undefined ? { libraries } : { loader, libraries };
}

/** @throws Error when this machine has no shell that could be taken along */
export async function imageMounts(): Promise<Mount[]> {
  const shell = await realpath("/bin/sh");
  // It fails for a program without libraries, which is then one that needs nothing else.
  const { loader, libraries } = linkedIn(
    await runTool("ldd", [shell]).then(
      ({ stdout }) => stdout,
      () => "",
    ),
  );
  const rows: [from: string, to: string][] = [
    [shell, imageShell.program],
    ...(loader === undefined ? [] : [[loader, imageShell.loader] as [string, string]]),
    ...libraries.map((path): [string, string] => [path, join(imageShell.libraries, basename(path))]),
  ];
  const resolver = await realpath("/etc/resolv.conf").catch(() => undefined); // a machine without one
  if (resolver !== undefined) rows.push([resolver, "/etc/resolv.conf"]);
  return await Promise.all(rows.map(async ([from, to]) => bindOf(await realpath(from), to, true)));
}
