// Keys that JSON names twice in one object; JSON.parse takes the last of them without a word.

/** @param text valid JSON. @returns dotted paths, each once, in order of appearance */
export function duplicateKeys(text: string): string[] {
  const found = new Set<string>();
  let at = 0;
  const space = (): void => {
    while (text.charCodeAt(at) <= 32) at += 1;
  };
  const string = (): string => {
    const from = at;
    at += 1;
    while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    at += 1;
    return text.slice(from, at);
  };
  const value = (path: string): void => {
    space();
    const first = text[at];
    if (first === "{") object(path);
    else if (first === "[") list(path);
    else if (first === '"') string();
    else while (at < text.length && !",]}".includes(text[at] ?? "")) at += 1;
  };
  const object = (path: string): void => {
    const keys = new Set<string>();
    at += 1;
    for (space(); at < text.length && text[at] !== "}"; space()) {
      if (text[at] === ",") {
        at += 1;
        continue;
      }
      const quoted = string();
      const key = quoted.includes("\\") ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
      const inner = path === "" ? key : `${path}.${key}`;
      if (keys.has(key)) found.add(inner);
      keys.add(key);
      space();
      at += 1;
      value(inner);
    }
    at += 1;
  };
  const list = (path: string): void => {
    at += 1;
    let index = 0;
    for (space(); at < text.length && text[at] !== "]"; space()) {
      if (text[at] === ",") at += 1;
      else value(`${path}[${index++}]`);
    }
    at += 1;
  };
  value("");
  return [...found];
}
