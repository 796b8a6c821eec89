// Looks for marked secrets where none may be: in what is printed, in objects, and in the arguments and environments of processes.
import { readdirSync, readFileSync } from "node:fs";

/** Every secret of a test begins with it, so that one search finds them all. */
export const secretMark = "S3CR3T-";
export const markedSecret = (name: string): string => `${secretMark}${name}-${process.pid}`;

/** A secret also shows itself encoded, as in a Basic header or a URL. */
const formsOf = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  // The middle of a base64 text, whatever stands before the secret: three ways it can fall.
  ...[0, 1, 2].map((shift) =>
    Buffer.from("x".repeat(shift) + secret)
      .toString("base64")
      .slice(shift === 0 ? 0 : 4, -4),
  ),
];

/** Any marked secret, whichever it is: the mark itself, as base64 wherever it falls, and a signed token. */
const anySecret: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  {
    what: "a marked secret",
    pattern: new RegExp([secretMark, ...insideBase64(secretMark)].map((word) => word.replaceAll("+", "\\+")).join("|")),
  },
  { what: "a token", pattern: /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/ },
];

/** @returns what is seen in the text, never the secret itself */
export const markSightings = (text: string): string[] =>
  anySecret.filter(({ pattern }) => pattern.test(text)).map(({ what }) => what);

/** The characters of a base64 text that the word alone decides, in the three ways it can fall. */
function insideBase64(word: string): string[] {
  return [0, 1, 2].map((shift) => {
    const whole = Buffer.from(`${"x".repeat(shift)}${word}`);
    return whole.toString("base64").slice(Math.ceil((8 * shift) / 6), Math.floor((8 * whole.length) / 6));
  });
}

export interface Sighting {
  where: string;
  secret: string;
}

/** @returns where any of the secrets stands in the text */
export function sightingsIn(where: string, text: string, secrets: readonly string[]): Sighting[] {
  return secrets
    .filter((secret) => formsOf(secret).some((form) => text.includes(form)))
    .map((secret) => ({ where, secret }));
}

/**
 * Looks at all processes again and again until stopped: arguments of every one, environments of those `isChild` picks.
 * @param onPicked is called after each look at one of them
 * @returns stops the looking and gives what was seen, and how many processes were picked
 */
export function watchProcesses(
  secrets: readonly string[],
  isChild: (argv: string) => boolean,
  onPicked: (argv: string) => void = () => undefined,
): () => { sightings: Sighting[]; picked: Set<string> } {
  const sightings: Sighting[] = [];
  const picked = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      const argv = readOf(pid, "cmdline");
      sightings.push(...sightingsIn(`arguments: ${argv.slice(0, 200)}`, argv, secrets));
      if (!isChild(argv)) continue;
      picked.add(argv.replace(/^\/bin\/sh /, "").split(" ")[0] ?? "");
      sightings.push(...sightingsIn(`environment of ${argv.slice(0, 200)}`, readOf(pid, "environ"), secrets));
      onPicked(argv);
    }
  }, 20);
  return () => {
    clearInterval(timer);
    return { sightings, picked };
  };
}

/** A file of /proc/PID, words apart by blanks; "" when the process has ended. */
export function readOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return ""; // it has ended
  }
}
