// The frame of every program: one signal from the top, one exit status at the end, process.exit nowhere.

/** The reason an AbortSignal carries when the program was asked to stop. */
export class Cancelled extends Error {
  /** The process signal that asked for it. */
  readonly by: string;
  constructor(by: string) {
    super(`stopped by ${by}`);
    this.name = "Cancelled";
    this.by = by;
  }
}

/** npm and a terminal may both deliver one Ctrl-C: repeats within this time count as the same wish, ms. */
const sameWishMs = 1500;

/**
 * Runs `main` with a signal that aborts (reason Cancelled) on SIGTERM or SIGINT; a later second signal ends the process
 * as if nobody listened. Sets the exit status `main` answers with; 1 and a line on stderr when it throws.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  let askedAt = 0;
  const remove: (() => void)[] = [];
  const release = (): void => remove.splice(0).forEach((off) => off());
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    const onSignal = (): void => {
      if (!stop.signal.aborted) {
        askedAt = Date.now();
        stop.abort(new Cancelled(name));
        return;
      }
      if (Date.now() - askedAt < sameWishMs) return;
      release();
      process.kill(process.pid, name);
    };
    process.on(name, onSignal);
    remove.push(() => process.off(name, onSignal));
  }
  try {
    process.exitCode = await main(stop.signal);
  } catch (cause) {
    process.exitCode = 1;
    process.stderr.write(`${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}\n`);
  } finally {
    release();
  }
}
