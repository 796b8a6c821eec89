// qemu-img convert, held on a short leash: explicit drivers, no environment, no network, bounded files and time.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../lib/faults.ts";
import { codeOf } from "../lib/syscalls.ts";
import { runTool } from "./child.ts";

/** qemu's names of the formats we let it read. */
export const convertDrivers = ["raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed"] as const;
export type ConvertDriver = (typeof convertDrivers)[number];

export interface ConvertOptions {
  /** A local file that our inspector has looked at: no backing file, no external data. */
  sourcePath: string;
  driver: ConvertDriver;
  /** More options of the driver, by name. */
  driverOptions?: Readonly<Record<string, string>>;
  /** What a sink lent. It must read as zeros; a file must have its virtual size already. */
  target: { path: string; kind: "filesystem" | "block" };
  virtualSizeBytes: number;
  /** Write the zeros too. A file is allocated by its sink, so this matters for devices. Default false. */
  preallocate?: boolean;
  /** Requests under way at once, 1 to 16. Default 8, which keeps two cores busy. */
  parallel?: number;
  signal?: AbortSignal;
  /** Told a rising share of the work, 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/** The largest block a file system or device is likely to round an image's tail up to. */
const TAIL_BYTES = 64 * 1024;

/**
 * Fills the target with the image's raw bytes; holes of the image are left alone.
 * @throws Fault `ToolMissing`, `TargetFull`, `ConversionFailed`; the signal's reason when aborted, after qemu-img has ended
 */
export async function convertToRaw(options: ConvertOptions): Promise<void> {
  const { target, virtualSizeBytes, signal } = options;
  const cache = (await takesDirectIo(target.path)) ? "none" : "writeback";
  const result = await runTool("qemu-img", convertArguments(options, cache), {
    noNetwork: true,
    signal,
    limits: {
      fileBytes: virtualSizeBytes + TAIL_BYTES,
      // Ten minutes, and a second for every 4 MiB: far more than any honest image needs.
      cpuSeconds: 600 + virtualSizeBytes / (4 * 1024 * 1024),
    },
    onStdout: progressReader(options.onProgress ?? (() => undefined)),
  });
  if (result.exitCode !== 0) throw conversionFault(result);
  options.onProgress?.(1);
}

/** @returns the arguments after `qemu-img` */
export function convertArguments(options: ConvertOptions, cache: "none" | "writeback"): string[] {
  const { sourcePath, driver, target, preallocate = false, parallel = 8 } = options;
  // With -n and --target-is-zero it neither creates nor clears the target: the sink has done that.
  const words = ["convert", "-p", "-n", "--target-is-zero", "-W", "-m", String(parallel), "-t", cache, "-O", "raw"];
  words.push("-S", preallocate && target.kind === "block" ? "0" : "4k");
  words.push("--image-opts", imageOptions(driver, resolve(sourcePath), options.driverOptions));
  // An absolute path cannot be taken for a protocol such as nbd:.
  words.push(resolve(target.path));
  return words;
}

/** The image named by its parts, so that qemu guesses neither format nor protocol. Commas in values are doubled. */
export function imageOptions(
  driver: ConvertDriver,
  path: string,
  driverOptions: Readonly<Record<string, string>> = {},
): string {
  const more = Object.entries(driverOptions).map(([name, value]) => `${name}=${value},`);
  return `driver=${driver},${more.join("")}file.driver=file,file.filename=${path.replaceAll(",", ",,")}`;
}

/** @returns a reader of `(NN.NN/100%)` records, which may come in pieces */
export function progressReader(onProgress: (fraction: number) => void): (text: string) => void {
  let rest = "";
  let told = -1;
  return (text) => {
    const records = (rest + text).split("\r");
    rest = (records.pop() ?? "").slice(-64);
    for (const record of records) {
      const match = /\((\d+(?:\.\d+)?)\/100%\)/.exec(record);
      const fraction = match ? Number(match[1]) / 100 : told;
      if (fraction <= told) continue;
      told = fraction;
      onProgress(fraction);
    }
  };
}

/**
 * Direct I/O keeps a whole image out of the page cache, which a pod's memory limit counts; it was as fast in our trials, on
 * ext4 and on devices with 512 and 4096 byte blocks. An odd tail makes a file up to a block too long: the sink cuts it.
 */
async function takesDirectIo(path: string): Promise<boolean> {
  try {
    const handle = await open(path, constants.O_RDWR | constants.O_DIRECT);
    await handle.close();
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EINVAL") return false;
    throw new Fault("TargetIo", `opening the target of the conversion failed: ${String(cause)}`, { cause });
  }
}

function conversionFault(result: { exitCode: number | null; signal: NodeJS.Signals | null; stderr: string }): Fault {
  const words = result.stderr || (result.signal ? `ended by ${result.signal}` : `exit status ${result.exitCode}`);
  if (/no space left on device/i.test(words)) {
    return new Fault("TargetFull", `unable to write to file: no space left on device: ${words}`);
  }
  if (/disk quota exceeded/i.test(words)) {
    return new Fault("QuotaExceeded", `unable to write to file: disk quota exceeded: ${words}`);
  }
  return new Fault("ConversionFailed", `could not convert image to raw: ${words}`);
}
