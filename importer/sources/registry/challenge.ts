// WWW-Authenticate of a registry: which scheme it wants, and where tokens are had. Pure.

export interface Challenge {
  /** Lower case: basic, bearer, or something else. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads every challenge of one or several header lines. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  // A parameter, or the scheme of the next challenge.
  const part = /([A-Za-z][\w.-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([A-Za-z][\w.-]*)(?=\s|,|$)/g;
  for (const [, name, quoted, plain, scheme] of header.slice(0, 8192).matchAll(part)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else if (name !== undefined) {
      const last = found.at(-1);
      if (last) last.parameters[name.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain ?? "";
    }
  }
  return found;
}
