// The log interface every room is handed. The writer (pino) stands behind it in src/telemetry/log.ts.

export type LogFacts = Readonly<Record<string, unknown>>;

/** Constant message, facts beside (house-style rule 10). */
export interface Log {
  debug(message: string, facts?: LogFacts): void;
  info(message: string, facts?: LogFacts): void;
  warn(message: string, facts?: LogFacts): void;
  error(message: string, facts?: LogFacts): void;
  /** A child that adds these facts to each line. */
  with(facts: LogFacts): Log;
}

/** Drops every line: for callers that were given no log, such as the library use of the data path. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLog,
};
