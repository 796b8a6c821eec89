// Tells when a source has answered for the first time, so that what can wait does not hold up the first request.
import type { Source } from "../src/datapath/index.ts";

/** The same source; `tell` is called each time it has said its facts. */
export function tellingFirstAnswer(source: Source, tell: () => void): Source {
  const { name, localPath, identity } = source;
  return {
    name,
    get path() {
      return source.path;
    },
    ...(localPath === undefined ? {} : { localPath }),
    ...(identity === undefined ? {} : { identity }),
    async facts(signal) {
      const facts = await source.facts(signal);
      tell();
      return facts;
    },
    open: (offset, signal) => source.open(offset, signal),
    ...(source.read ? { read: source.read.bind(source) } : {}),
    ...(source.forget ? { forget: source.forget.bind(source) } : {}),
    ...(source.labels ? { labels: source.labels.bind(source) } : {}),
    close: () => source.close(),
  };
}
