// A source as it is, with a word of our own beside what it says: who else is told of its first answer, what it is known by.
import type { Source } from "../src/datapath/index.ts";

/** The same source but for what is given. Closing it closes the one inside. */
export function aroundSource(source: Source, own: Partial<Pick<Source, "facts" | "identity" | "labels">>): Source {
  const { name, localPath, identity } = source;
  return {
    name,
    get path() {
      return source.path;
    },
    ...(localPath === undefined ? {} : { localPath }),
    ...(identity === undefined ? {} : { identity }),
    facts: (signal) => source.facts(signal),
    open: (offset, signal) => source.open(offset, signal),
    ...(source.read ? { read: source.read.bind(source) } : {}),
    ...(source.forget ? { forget: source.forget.bind(source) } : {}),
    ...(source.labels ? { labels: source.labels.bind(source) } : {}),
    close: () => source.close(),
    ...own,
  };
}

/** The same source; `tell` is called each time it has said its facts, so that what can wait does not hold up the first request. */
export function tellingFirstAnswer(source: Source, tell: () => void): Source {
  return aroundSource(source, {
    async facts(signal) {
      const facts = await source.facts(signal);
      tell();
      return facts;
    },
  });
}
