// `cdi import SOURCE TARGET`: the data path alone, from a URL or file into a file or block device.
import { makeRateMeter } from "../../importer/index.ts";
import { importImage, newProgress, overallFraction, type ImportDone } from "../datapath/index.ts";
import type { Progress, Source } from "../datapath/index.ts";
import { Fault } from "../lib/faults.ts";
import { silentLog } from "../lib/log.ts";
import { shownBytes } from "../lib/quantity.ts";
import { outputForm, sizeFlag, telling, UsageError, type OutputForm } from "./output.ts";
import { showProgress, shownSeconds, type Moment } from "./progress-bar.ts";
import { sourceOf, withSourceFlags, type SourceFlags } from "./source-flags.ts";
import type { Surroundings, Verb } from "./surroundings.ts";
import { openTarget } from "./target.ts";

interface ImportFlags extends SourceFlags {
  readonly size?: number;
  readonly format?: "raw";
  readonly preallocate?: boolean;
  readonly checksum?: string;
  readonly digest?: boolean;
  readonly scratch?: string;
  readonly overwrite?: boolean;
  readonly output: OutputForm;
}

export const importVerb: Verb = (program, surroundings) => {
  const verb = program
    .command("import")
    .description("fill a file or block device with a disk image")
    .argument("<source>", "a URL, a container image (docker://, oci-archive:, docker-archive:) or a file")
    .argument("<target>", "a file or a block device")
    .option("--size <quantity>", "size of the disk; an image that is larger is refused, a smaller one grown", sizeFlag)
    .option("--format <word>", "raw: store the bytes as they are", formatOf)
    .option("--preallocate", "allocate every byte of the disk")
    .option("--checksum <alg:hex>", "checksum of the source as sent: md5, sha1, sha256 or sha512", checksumOf)
    .option("--digest", "say the sha256 of the disk")
    .option("--scratch <dir>", "folder for images that cannot be converted on the way")
    .option("--overwrite", "replace what the target holds")
    .option("--output <form>", "text or json", outputForm, "text" as OutputForm);
  withSourceFlags(verb).action((source: string, target: string, flags: ImportFlags) =>
    telling(flags.output, surroundings, () => runImport(source, target, flags, surroundings)),
  );
};

async function runImport(from: string, to: string, flags: ImportFlags, at: Surroundings): Promise<void> {
  const source = await sourceOf(from, flags, at);
  try {
    const done = await pour(source, to, flags, at);
    at.stdout.write(flags.output === "json" ? `${JSON.stringify(resultOf(done))}\n` : `${summaryOf(done, from, to)}\n`);
  } finally {
    await source.close();
  }
}

async function pour(source: Source, to: string, flags: ImportFlags, at: Surroundings): Promise<ImportDone> {
  const { signal, stderr } = at;
  const preallocate = flags.preallocate ?? false;
  const sink = await openTarget(to, { size: flags.size, preallocate, overwrite: flags.overwrite ?? false, signal });
  const progress = newProgress();
  const endLine = flags.output === "text" && stderr.isTTY ? showProgress(stderr, momentOf(progress)) : undefined;
  try {
    const outcome = await importImage({
      source,
      sink,
      progress,
      log: silentLog,
      signal,
      preallocate,
      ...(flags.format ? { format: flags.format } : {}),
      ...(flags.checksum ? { checksum: flags.checksum } : {}),
      ...(flags.digest ? { digest: true } : {}),
      ...(flags.scratch ? { scratch: { dir: flags.scratch, fileName: `cdi-${process.pid}.tmp` } } : {}),
    });
    if (outcome.kind === "done") return outcome;
    throw new Fault("ScratchMissing", `${source.name} cannot be converted on the way and no scratch space was given`);
  } finally {
    endLine?.();
  }
}

/** The object of `--output json`. */
function resultOf(done: ImportDone): Record<string, unknown> {
  return {
    ok: true,
    road: done.road,
    format: done.format,
    virtualSize: done.virtualSizeBytes,
    bytesRead: done.bytesRead,
    bytesWritten: done.bytesWritten,
    // A device tells no blocks: what was written is what it had to allocate.
    allocated: done.allocatedBytes ?? done.bytesWritten,
    scratchPeak: done.scratchPeakBytes,
    sha256: done.sha256,
    seconds: Math.round(done.seconds * 1000) / 1000,
  };
}

function summaryOf(done: ImportDone, from: string, to: string): string {
  const { format, layers, road, virtualSizeBytes, bytesRead, seconds } = done;
  // The innermost first.
  const kind = [format, ...layers.toReversed()].join(" in ");
  const rate = shownBytes(Math.round(bytesRead / Math.max(seconds, 0.001)));
  const digest = done.sha256 === undefined ? "" : `, sha256 ${done.sha256}`;
  return `${from} is in ${to}: ${kind}, ${shownBytes(virtualSizeBytes)} disk, ${shownBytes(bytesRead)} read in ${shownSeconds(seconds)} (${rate}/s, ${road})${digest}`;
}

function momentOf(progress: Progress): () => Moment {
  const meter = makeRateMeter();
  return () => {
    const { stage, bytesDone, bytesTotal } = progress;
    const fraction = overallFraction(progress);
    const bytesPerSecond = meter.read(bytesDone, Date.now());
    return {
      stage,
      bytesDone,
      ...(fraction === undefined ? {} : { fraction }),
      ...(bytesTotal === undefined ? {} : { bytesTotal }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
  };
}

function formatOf(text: string): "raw" {
  if (text === "raw") return text;
  throw new UsageError(`--format takes raw, not ${JSON.stringify(text)}; every other format is recognised by itself`);
}

const digestLengths: Readonly<Record<string, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 };
function checksumOf(text: string): string {
  const [, algorithm = "", hex = ""] = /^([a-z0-9]+):([0-9a-f]+)$/i.exec(text) ?? [];
  if (digestLengths[algorithm.toLowerCase()] === hex.length) return text;
  throw new UsageError(
    `--checksum takes md5, sha1, sha256 or sha512, a colon and the digest in hex, not ${JSON.stringify(text)}`,
  );
}
