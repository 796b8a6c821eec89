// Starts `cdi up` as its users do - a process of its own - and drives it with the real kubectl.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { runText } from "./run-text.ts";
import { watchForSecrets, type Described } from "./secret-watch.ts";

export const checkout = join(import.meta.dirname, "..", "..");
const cdi = join(checkout, "dist", "cdi.js");

export interface CdiUp {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly pid: number;
  /** What it printed on stdout and stderr so far. */
  printed(): string;
  /** SIGTERM and wait. */
  stop(): Promise<void>;
  /** SIGKILL and wait. */
  kill(): Promise<void>;
  kubectl(...args: string[]): Promise<string>;
  /** Polls a DataVolume's phase: `wait --for=jsonpath` is not in every kubectl. */
  untilPhase(name: string, phase: string): Promise<void>;
  /** With text on standard input: `apply -f -`. */
  kubectlWith(input: string, ...args: string[]): Promise<string>;
}

export const temporaryDir = (): Promise<string> => mkdtemp(join(tmpdir(), "cdi-test-"));
export const removeDir = (dir: string): Promise<void> => rm(dir, { recursive: true, force: true });

export interface CdiUpOptions {
  dir: string;
  args?: string[];
  /** Put before the command line, e.g. `["setpriv", "--reuid", "65534"]`. */
  prefix?: string[];
  env?: Record<string, string>;
}

/** Resolves once the kubeconfig was printed. */
export async function startCdiUp({ dir, args = ["--no-sample"], prefix = [], env = {} }: CdiUpOptions): Promise<CdiUp> {
  const kubeconfig = join(dir, "kubeconfig");
  const command = [...prefix, process.execPath, cdi, "up", "--data", dir, "--kubeconfig", kubeconfig, ...args];
  const child: ChildProcess = spawn(command[0] ?? "", command.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let text = "";
  const ready = new Promise<void>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes("export KUBECONFIG=")) resolve();
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("exit", (code, signal) =>
      reject(new Error(`cdi up ended (${signal ?? code}) before it was ready:\n${text}`)),
    );
    child.once("error", reject);
  });
  await ready;
  const watch = watchForSecrets(dir, child.pid ?? -1);
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return watch.end([{ where: "what it printed", text }]);
    const told = signal === "SIGTERM" ? await whatIsTold(kubectl) : [];
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    watch.end([...told, { where: "what it printed", text }]);
  };
  const binary = process.env.CDI_KUBECTL || "kubectl";
  const kubectlEnv = { ...process.env, KUBECONFIG: kubeconfig, HOME: dir };
  const kubectl = (...rest: string[]): Promise<string> => runText(binary, rest, { env: kubectlEnv });
  return {
    dir,
    kubeconfig,
    pid: child.pid ?? -1,
    printed: () => text,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    kubectl,
    async untilPhase(name, phase) {
      const seen = (): Promise<string> => kubectl("get", "dv", name, "-o", "jsonpath={.status.phase}");
      await expect.poll(seen, { timeout: 20_000, interval: 50 }).toBe(phase);
    },
    kubectlWith: (input, ...rest) => runText(binary, rest, { env: kubectlEnv, input }),
  };
}

/** Events, and statuses of what users look at; specs and annotations hold what their users wrote. */
async function whatIsTold(kubectl: CdiUp["kubectl"]): Promise<Described[]> {
  const items = async (kind: string): Promise<{ status?: object }[]> => {
    const list = JSON.parse(await kubectl("get", kind, "-A", "-o", "json")) as { items: { status?: object }[] };
    return list.items;
  };
  return [
    { where: "events", text: JSON.stringify(await items("events")) },
    {
      where: "statuses",
      text: JSON.stringify((await items("datavolumes,persistentvolumeclaims,pods")).map(({ status }) => status)),
    },
  ];
}
