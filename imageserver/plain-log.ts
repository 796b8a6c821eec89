// Log lines without a package behind them: this program runs where there are none.
import type { Log, LogFacts } from "../src/lib/log.ts";

/** One JSON object a line, as the other programs' logs. @param write takes a whole line */
export function plainLog(write: (line: string) => void, now: () => number, always: LogFacts = {}): Log {
  const at =
    (level: string) =>
    (message: string, facts: LogFacts = {}): void =>
      write(`${JSON.stringify({ level, time: now(), ...always, ...facts, msg: message }, shown)}\n`);
  return {
    debug: () => undefined,
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (facts) => plainLog(write, now, { ...always, ...facts }),
  };
}

const shown = (_: string, value: unknown): unknown => (value instanceof Error ? value.message : value);
