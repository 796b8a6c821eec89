// Runs one system tool, bounded: argument list only, chosen environment, limits, a polite end then a forced one, and never
// longer than this process lives.
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { Fault } from "../lib/faults.ts";
import { syscalls } from "../lib/syscalls.ts";

/** The only PATH that tools are looked for in, and see. */
export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Debian's package of each tool, for the message when one is missing. */
const packages: Readonly<Record<string, string>> = {
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  xz: "xz-utils",
  zstd: "zstd",
  gzip: "gzip",
  tar: "tar",
  nbdkit: "nbdkit",
  fallocate: "util-linux",
  prlimit: "util-linux",
  setpriv: "util-linux",
  unshare: "util-linux",
  losetup: "mount",
  mount: "mount",
  "mkfs.ext4": "e2fsprogs",
};

type Channel = "ignore" | "pipe" | number;

export interface ToolOptions {
  /** Beside PATH. Default: nothing, so tools speak the C locale. */
  env?: Record<string, string>;
  cwd?: string;
  /** Default `ignore`. */
  stdin?: Channel;
  /** Default `ignore` for spawnTool; runTool collects it. */
  stdout?: Channel;
  limits?: ToolLimits;
  /** Cut off from the network where the kernel allows. Default false. */
  noNetwork?: boolean;
  signal?: AbortSignal | undefined;
  /** From the polite signal to the forced one, ms. Default 5000. */
  graceMs?: number;
}

export interface ToolLimits {
  /** No file may grow past this, bytes. */
  fileBytes?: number;
  /** Processor time, seconds. */
  cpuSeconds?: number;
  /** Address space, bytes. */
  addressBytes?: number;
}

export interface ToolResult {
  /** Null when a signal ended it. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** The last 4 KiB. */
  stderr: string;
}

export interface Tool {
  readonly pid: number | undefined;
  /** Null unless asked for as `pipe`. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** When it has ended and its output is closed, whatever way it went. @throws Fault when it could not be started */
  readonly done: Promise<ToolResult>;
  /** Ends it politely, by force after the grace time. */
  stop(): void;
}

const STDERR_TAIL_BYTES = 4096;
/** runTool keeps no more of stdout than this. */
const STDOUT_BYTES = 4 * 1024 * 1024;

/** @returns the tool's full path; undefined when it is not installed */
export function findTool(name: string): string | undefined {
  if (name.includes("/")) return name;
  return toolPath
    .split(":")
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** @throws Fault `ToolMissing`, naming the package to install */
export function requireTool(name: string): string {
  const path = findTool(name);
  if (path) return path;
  throw new Fault("ToolMissing", `the tool "${name}" is not installed: install the package ${packages[name] ?? name}`);
}

/** Starts a tool whose input or output is streamed. @throws Fault `ToolMissing` */
export function spawnTool(name: string, args: readonly string[], options: ToolOptions = {}): Tool {
  const [command = name, ...rest] = [...wrapping(options), requireTool(name), ...args];
  const stdio: StdioOptions = [options.stdin ?? "ignore", options.stdout ?? "ignore", "pipe"];
  options.signal?.throwIfAborted();
  syscalls().sealDescriptors();
  const child = spawn(command, rest, {
    env: { PATH: toolPath, ...options.env },
    stdio,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stop = (): void => endPolitely(child, options.graceMs ?? 5000);
  options.signal?.addEventListener("abort", stop, { once: true });
  const done = ended(name, child).finally(() => options.signal?.removeEventListener("abort", stop));
  // Whoever streams may look at `done` only after the streams ended: until then its failure is not an unhandled one.
  done.catch(() => undefined);
  return { pid: child.pid, stdin: child.stdin, stdout: child.stdout, done, stop };
}

/**
 * Runs a tool to its end. A failing exit status is a result, not an error.
 * @param onStdout is handed the output as it comes; without it the first 4 MiB are collected
 * @throws Fault `ToolMissing`; the signal's reason when aborted, after the tool has ended
 */
export async function runTool(
  name: string,
  args: readonly string[],
  options: ToolOptions & { onStdout?: (text: string) => void } = {},
): Promise<ToolResult & { stdout: string }> {
  const tool = spawnTool(name, args, { stdout: "pipe", ...options });
  let stdout = "";
  tool.stdout?.setEncoding("utf8").on("data", (text: string) => {
    if (options.onStdout) options.onStdout(text);
    else if (stdout.length < STDOUT_BYTES) stdout += text.slice(0, STDOUT_BYTES - stdout.length);
  });
  const result = await tool.done;
  options.signal?.throwIfAborted();
  return { ...result, stdout };
}

/** The commands before the command: each sets one bound and then becomes the next, so the process id stays the same. */
function wrapping({ limits, noNetwork }: ToolOptions): string[] {
  const words: string[] = [];
  // First, because a new namespace clears the death signal.
  if (noNetwork) words.push(...networkWrapping());
  const setpriv = findTool("setpriv");
  if (setpriv) words.push(setpriv, "--pdeathsig", "KILL", "--");
  const bounds = limits ? limitArguments(limits) : [];
  if (bounds.length > 0) words.push(requireTool("prlimit"), ...bounds);
  return words;
}

let knownNetworkWrapping: string[] | undefined;

/** Tried once: root may have a network namespace of its own, others only inside a user namespace, and pods often neither. */
function networkWrapping(): string[] {
  if (knownNetworkWrapping) return knownNetworkWrapping;
  knownNetworkWrapping = [];
  const unshare = findTool("unshare");
  const ways = unshare ? [["--net"], ["--user", "--net"]] : [];
  for (const way of ways) {
    const words = [unshare ?? "", ...way, "--"];
    const tried = spawnSync(words[0] ?? "", [...words.slice(1), requireTool("true")], { env: {}, stdio: "ignore" });
    if (tried.status !== 0) continue;
    knownNetworkWrapping = words;
    break;
  }
  return knownNetworkWrapping;
}

function limitArguments({ fileBytes, cpuSeconds, addressBytes }: ToolLimits): string[] {
  const words: string[] = [];
  if (fileBytes !== undefined) words.push(`--fsize=${fileBytes}`);
  if (cpuSeconds !== undefined) words.push(`--cpu=${Math.ceil(cpuSeconds)}`);
  if (addressBytes !== undefined) words.push(`--as=${addressBytes}`);
  return words;
}

function endPolitely(child: ChildProcess, graceMs: number): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
  child.once("exit", () => clearTimeout(force));
}

function ended(name: string, child: ChildProcess): Promise<ToolResult> {
  let tail = Buffer.alloc(0);
  child.stderr?.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-STDERR_TAIL_BYTES);
  });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      if (child.pid !== undefined) return;
      reject(new Fault("Unclassified", `starting "${name}" failed: ${cause.message}`, { cause }));
    });
    child.once("close", (exitCode, signal) => resolve({ exitCode, signal, stderr: tail.toString("utf8").trim() }));
  });
}
