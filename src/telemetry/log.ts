// The log writer: pino behind the Log interface, one JSON object a line on stderr.
import { pino, destination, type Logger } from "pino";
import type { Log, LogFacts } from "../lib/log.ts";

export interface LogSettings {
  /** Name of the program, on every line. */
  readonly name: string;
  /** klog's -v: 0-2 info and up, 3 and more also debug. Default 1. */
  readonly verbosity?: number;
  /** Where lines go, for tests; stderr by default, written at once so that none is lost when the process ends. */
  readonly stream?: { write(line: string): unknown };
}

/** @param verbosity klog's number @returns pino's level */
export const levelOf = (verbosity: number): "info" | "debug" => (verbosity >= 3 ? "debug" : "info");

/** Errors become plain facts, causes included; secrets print as "[secret]" by themselves. */
function plain(value: unknown, depth = 0): unknown {
  if (!(value instanceof Error)) return value;
  const code: unknown = (value as { code?: unknown }).code;
  return {
    name: value.name,
    message: value.message,
    ...(code === undefined ? {} : { code }),
    ...(value.cause === undefined || depth > 4 ? {} : { cause: plain(value.cause, depth + 1) }),
  };
}
const facts = (given: LogFacts = {}): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).map(([name, value]) => [name, plain(value)]));

/**
 * What stands before a host in a URL: a user may write a password there, into a proxy's address or a source's, and whole objects
 * are logged. On the finished line, so that no way around it is left.
 */
const hidden = (line: string): string => line.replaceAll(/:\/\/[^\s"\\/?#]+@/g, "://[secret]@");

const wrap = (logger: Logger): Log => ({
  debug: (message, given) => logger.debug(facts(given), message),
  info: (message, given) => logger.info(facts(given), message),
  warn: (message, given) => logger.warn(facts(given), message),
  error: (message, given) => logger.error(facts(given), message),
  with: (given) => wrap(logger.child(facts(given))),
});

/** A log writer for one program. */
export function makeLog({ name, verbosity = 1, stream }: LogSettings): Log {
  const options = {
    level: levelOf(verbosity),
    base: { program: name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const out = stream ?? destination({ dest: 2, sync: true });
  return wrap(pino(options, { write: (line: string) => void out.write(hidden(line)) }));
}
