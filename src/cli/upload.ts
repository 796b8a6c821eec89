// `cdi upload FILE dv/NAME`: registers the verb; what it runs is loaded only when it is called.
import { outputForm, sizeFlag, telling, UsageError, type OutputForm } from "./output.ts";
import type { Verb } from "./surroundings.ts";
import type { UploadFlags } from "./upload/run.ts";

export const uploadVerb: Verb = (program, surroundings) => {
  program
    .command("upload")
    .description("pour a local disk image into a DataVolume, and go on where it stopped when run again")
    .argument("<file>", "a disk image")
    .argument("<target>", "dv/NAME; made when it is not there", dataVolumeOf)
    .option("-n, --namespace <name>", "of the DataVolume", "default")
    .option("--size <quantity>", "of the volume that is made; default: the image's own", sizeFlag)
    .option("--storage-class <name>", "of the volume that is made")
    .option("--block", "make a block volume")
    .option("--force-bind", "do not wait for the volume's first consumer")
    .option("--wait", "wait until the DataVolume is Succeeded")
    .option("--uploadproxy-url <url>", "default: what the cluster's CDIConfig says")
    .option("--ca <file>", "certificates (PEM) to trust for the proxy, beside the system's")
    .option("--insecure", "accept any certificate of the proxy")
    .option("--kubeconfig <file>", "default: KUBECONFIG, else ~/.kube/config")
    .option("--output <form>", "text or json", outputForm, "text" as OutputForm)
    .action((file: string, name: string, flags: UploadFlags & { output: OutputForm }) =>
      telling(flags.output, surroundings, async () => {
        const { runUpload } = await import("./upload/run.ts");
        await runUpload(file, name, flags, surroundings);
      }),
    );
};

function dataVolumeOf(text: string): string {
  const [, name] = /^(?:dv|datavolume)\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/.exec(text) ?? [];
  if (name === undefined) throw new UsageError(`the target is dv/NAME, not ${JSON.stringify(text)}`);
  return name;
}
