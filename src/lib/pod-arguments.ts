// A data pod's arguments: `-v=<n>` and klog's `-alsologtostderr`. Others are named in the log and ignored, so that a pod
// spec written for an upstream program always starts.

export interface PodArguments {
  /** klog's verbosity, default 1. */
  readonly verbosity: number;
  readonly unknown: readonly string[];
  /** `--version` was given: say it and end. */
  readonly asksVersion: boolean;
}

/** @param args without the program's own name */
export function readArguments(args: readonly string[]): PodArguments {
  let verbosity = 1;
  let asksVersion = false;
  const unknown: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? "";
    const [, flag = "", value] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/.exec(arg) ?? [];
    if (flag === "alsologtostderr" || flag === "logtostderr") continue;
    if (flag === "version") {
      asksVersion = true;
      continue;
    }
    const number = flag === "v" ? (value ?? args[(index += 1)] ?? "") : "";
    if (flag === "v" && /^\d+$/.test(number)) verbosity = Number(number);
    else unknown.push(arg);
  }
  return { verbosity, unknown, asksVersion };
}
