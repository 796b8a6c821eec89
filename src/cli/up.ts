// `cdi up`: registers the verb; what it runs is loaded only when it is called, for the other verbs start in a fraction of it.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { InvalidArgumentError } from "commander";
import { telling } from "./output.ts";
import type { UpOptions } from "./run-up.ts";
import type { Surroundings, Verb } from "./surroundings.ts";

interface UpFlags {
  data?: string;
  port?: number;
  kubeconfig?: string;
  sample: boolean;
  exit?: boolean;
  slow?: boolean;
  verbosity: number;
}

const portNumber = (text: string): number => {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return port;
};

export const upVerb: Verb = (program, surroundings) => {
  program
    .command("up")
    .description("Runs a cluster in one process, and a sample import in it.")
    .argument("[source]", "URL of a disk image to import instead of the generated sample")
    .option("--data <dir>", "folder of everything that outlives the process", defaultDataDir(surroundings))
    .option("--port <number>", "port of the API server (default: the last run's, else any free one)", portNumber)
    .option("--kubeconfig <file>", "where to write the kubeconfig (default: <data>/kubeconfig)")
    .option("--no-sample", "start without importing anything")
    .option("--exit", "leave once the sample has succeeded (0) or failed (1)")
    .option("--slow", "hold the sample's server to 60 MB/s")
    .option("-v, --verbosity <number>", "how much is logged on stderr", Number, 0)
    .action(async (source: string | undefined, flags: UpFlags) => {
      await telling("text", surroundings, async () => {
        const { runUp } = await import("./run-up.ts");
        surroundings.endWith(
          await runUp(optionsOf(source, flags, surroundings), surroundings.stdout, surroundings.signal),
        );
      });
    });
};

const defaultDataDir = ({ env }: Surroundings): string =>
  join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "cdi");

function optionsOf(source: string | undefined, flags: UpFlags, { env }: Surroundings): UpOptions {
  return {
    ...(source === undefined ? {} : { source }),
    data: flags.data ?? defaultDataDir({ env } as Surroundings),
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
    sample: flags.sample,
    exit: flags.exit === true,
    slow: flags.slow === true,
    verbosity: flags.verbosity,
    appDir: appDir(),
    env,
  };
}

/** The folder that holds dist/ and node_modules/: the bundler decides how deep this file ends up below it. */
function appDir(): string {
  for (let dir = import.meta.dirname; dir !== dirname(dir); dir = dirname(dir)) {
    if (existsSync(join(dir, "dist", "importer.js"))) return dir;
  }
  throw new Error("dist/importer.js is missing. Build it with: npm run build");
}
