// /healthz, /livez and /readyz: one word, each check on request, and each check alone.
import { plain, type Answer } from "./answers.ts";
import { noSuchPath } from "./errors.ts";

/** All that a server in one process can tell of itself: it answers, and its store does. */
const checks = ["ping", "log", "etcd"] as const;

/** @param words behind "livez" and its like. @throws ApiError 404 for a check that is none */
export function health(root: string, words: readonly string[], query: URLSearchParams): Answer {
  const [one, ...more] = words;
  if (one !== undefined) {
    if (more.length > 0 || !checks.some((name) => name === one)) throw noSuchPath();
    return plain("ok");
  }
  const left = query.getAll("exclude");
  if (!query.has("verbose")) return plain("ok");
  const lines = checks.map((name) => `[+]${name} ${left.includes(name) ? "excluded: ok" : "ok"}`);
  return plain(`${[...lines, `${root} check passed`].join("\n")}\n`);
}
