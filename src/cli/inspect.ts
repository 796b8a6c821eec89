// `cdi inspect SOURCE`: what a source is, from its first MiB at most.
import { readImageInfo, type ImageInfo } from "../datapath/index.ts";
import { shownBytes } from "../lib/quantity.ts";
import { outputForm, telling, type OutputForm } from "./output.ts";
import { sourceOf, withSourceFlags, type SourceFlags } from "./source-flags.ts";
import type { Surroundings, Verb } from "./surroundings.ts";

interface InspectFlags extends SourceFlags {
  readonly output: OutputForm;
}

export const inspectVerb: Verb = (program, surroundings) => {
  const verb = program
    .command("inspect")
    .description("say what a disk image is, from its first MiB")
    .argument("<source>", "a URL or a file")
    .option("--output <form>", "text or json", outputForm, "text" as OutputForm);
  withSourceFlags(verb).action((source: string, flags: InspectFlags) =>
    telling(flags.output, surroundings, () => runInspect(source, flags, surroundings)),
  );
};

async function runInspect(from: string, flags: InspectFlags, at: Surroundings): Promise<void> {
  const source = await sourceOf(from, flags, at);
  try {
    const info = await readImageInfo(source, at.signal);
    at.stdout.write(flags.output === "json" ? `${JSON.stringify(objectOf(info))}\n` : textOf(source.name, info));
  } finally {
    await source.close();
  }
}
