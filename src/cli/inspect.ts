// `cdi inspect SOURCE`: what a source is, from its first MiB at most.
import { readImageInfo, type ImageInfo } from "../datapath/index.ts";
import { shownBytes } from "../lib/quantity.ts";
import { outputForm, telling, type OutputForm } from "./output.ts";
import { sourceOf, withSourceFlags, type SourceFlags } from "./source-flags.ts";
import type { Surroundings, Verb } from "./surroundings.ts";

/** All that is ever asked of the source. */
const readBytes = 2 ** 20;

interface InspectFlags extends SourceFlags {
  readonly output: OutputForm;
}

export const inspectVerb: Verb = (program, surroundings) => {
  const verb = program
    .command("inspect")
    .description("say what a disk image is, from its first MiB")
    .argument("<source>", "a URL, a container image (docker://, oci-archive:, docker-archive:) or a file")
    .option("--output <form>", "text or json", outputForm, "text" as OutputForm);
  withSourceFlags(verb).action((source: string, flags: InspectFlags) =>
    telling(flags.output, surroundings, () => runInspect(source, flags, surroundings)),
  );
};

async function runInspect(from: string, flags: InspectFlags, at: Surroundings): Promise<void> {
  const source = await sourceOf(from, flags, at, readBytes);
  try {
    const info = await readImageInfo(source, at.signal);
    at.stdout.write(flags.output === "json" ? `${JSON.stringify(objectOf(info))}\n` : textOf(source.name, info));
  } finally {
    await source.close();
  }
}

/** The object of `--output json`; what is not known is left out. */
function objectOf({
  format,
  virtualSizeBytes,
  layers,
  sizeBytes,
  ranges,
  validator,
  qcow2,
}: ImageInfo): Record<string, unknown> {
  return {
    ok: true,
    format,
    virtualSize: virtualSizeBytes,
    compression: layers,
    size: sizeBytes,
    ranges,
    validator,
    qcow2: qcow2 && {
      version: qcow2.version,
      clusterSize: qcow2.clusterBytes,
      compression: qcow2.compression,
      extendedL2: qcow2.extendedL2,
      dirty: qcow2.dirty,
      corrupt: qcow2.corrupt,
    },
  };
}

function textOf(name: string, info: ImageInfo): string {
  const { format, virtualSizeBytes, layers, sizeBytes, ranges, validator, qcow2 } = info;
  const details = qcow2 ? ` version ${qcow2.version}, clusters of ${shownBytes(qcow2.clusterBytes)}` : "";
  const rows = [
    ["source", name],
    ["format", `${format}${details}`],
    ["compression", layers.join(", then ") || "none"],
    ["virtual size", shownSize(virtualSizeBytes)],
    ["size", shownSize(sizeBytes)],
    ["ranges", ranges ? "yes" : "no"],
    ["validator", validator ?? "none"],
  ];
  return rows.map(([label = "", value]) => `${`${label}:`.padEnd(14)}${value}\n`).join("");
}

const shownSize = (bytes: number | undefined): string =>
  bytes === undefined ? "unknown until the last byte" : `${shownBytes(bytes)} (${bytes} bytes)`;
