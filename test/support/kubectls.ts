// The kubectls at hand: the one the test run was given (else the one on PATH), and Debian's 1.20 where it was unpacked.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { CommandFailed, runText } from "./run-text.ts";

export interface Kubectl {
  /** @returns stdout. @throws CommandFailed */
  run(args: readonly string[], input?: string): Promise<string>;
  /** @returns what it printed before it failed. @throws when it does not fail */
  fails(args: readonly string[], input?: string): Promise<string>;
  start(args: readonly string[]): ChildProcess;
}

/** Where scripts/lib/kubectl.mjs unpacks Debian's package, or a path given by the variable. */
const debian = [process.env["CDI_KUBECTL_120"], ".cache/kubernetes-client/usr/bin/kubectl"];

/** Binaries by name; an absent one is undefined, so that a test can skip and say so. */
export const kubectls: readonly { name: string; binary: string | undefined }[] = [
  { name: "kubectl", binary: process.env["CDI_KUBECTL"] || "kubectl" },
  { name: "Debian's kubectl 1.20", binary: debian.find((path) => path !== undefined && existsSync(path)) },
];

/** @param home kubectl keeps its discovery cache here */
export function kubectlFor(binary: string, kubeconfig: string, home: string): Kubectl {
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: home };
  const run: Kubectl["run"] = (args, input) =>
    runText(binary, args, { env, ...(input === undefined ? {} : { input }) });
  return {
    run,
    async fails(args, input) {
      const cause: unknown = await run(args, input).then(
        (out) => new Error(`kubectl ${args.join(" ")} did not fail:\n${out}`),
        (failure: unknown) => failure,
      );
      if (cause instanceof CommandFailed) return cause.output;
      throw cause;
    },
    start: (args) => spawn(binary, args, { env, stdio: ["ignore", "pipe", "pipe"] }),
  };
}
