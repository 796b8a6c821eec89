// The line that moves on a terminal: stage, bar, percent, bytes, rate and time left.
import { shownBytes } from "../lib/quantity.ts";

export interface Moment {
  readonly stage: string;
  /** 0-1 of the whole; absent while unknown. */
  readonly fraction?: number;
  readonly bytesDone: number;
  readonly bytesTotal?: number;
  readonly bytesPerSecond?: number;
}

/** @param columns width of the terminal; the line is never longer */
export function progressLine(moment: Moment, columns = 80): string {
  const { stage, fraction, bytesDone, bytesTotal, bytesPerSecond } = moment;
  const done =
    bytesTotal === undefined ? shownBytes(bytesDone) : `${shownBytes(bytesDone)} of ${shownBytes(bytesTotal)}`;
  const rate = bytesPerSecond === undefined ? "" : `  ${shownBytes(Math.round(bytesPerSecond))}/s`;
  const left = secondsLeft(moment);
  const eta = left === undefined ? "" : `  ${shownSeconds(left)} left`;
  const percent = fraction === undefined ? "" : `${Math.floor(fraction * 100)}%`.padStart(4);
  const tail = `${percent}  ${done}${rate}${eta}`;
  const room = columns - stage.length - tail.length - 5;
  const bar = fraction === undefined || room < 10 ? "" : ` [${barOf(fraction, Math.min(40, room))}]`;
  return `${stage}${bar}${tail}`.slice(0, Math.max(0, columns - 1));
}

function barOf(fraction: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return "#".repeat(filled) + "-".repeat(width - filled);
}

/** Seconds to the stage's end at the present rate; undefined when that cannot be known. */
export function secondsLeft({ bytesDone, bytesTotal, bytesPerSecond }: Moment): number | undefined {
  if (bytesTotal === undefined || !bytesPerSecond) return undefined;
  return Math.ceil(Math.max(0, bytesTotal - bytesDone) / bytesPerSecond);
}

/** "1:05", "2:03:04". */
export function shownSeconds(count: number): string {
  const [hours, minutes, rest] = [Math.floor(count / 3600), Math.floor(count / 60) % 60, Math.floor(count % 60)];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Redraws the line a few times a second. @returns takes the line away; call it before anything else is written */
export function showProgress(
  stream: NodeJS.WritableStream & { readonly columns?: number },
  now: () => Moment,
): () => void {
  const draw = (): void => {
    stream.write(`\r\x1b[K${progressLine(now(), stream.columns ?? 80)}`);
  };
  draw();
  const timer = setInterval(draw, 250);
  return () => {
    clearInterval(timer);
    stream.write("\r\x1b[K");
  };
}
