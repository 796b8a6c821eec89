// The real virtctl, unmodified, where the environment variable VIRTCTL names one: `virtctl image-upload` in every form, into an
// embedded cluster.
import { execFile } from "node:child_process";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { copyTreeOf, diskOf, holdsImage } from "../support/cluster.ts";
import { emptyVolume, image, untilSucceeded, useUploadCluster } from "../support/upload-cluster.ts";

const run = promisify(execFile);
const virtctl = process.env["VIRTCTL"];
const why = "the environment variable VIRTCTL names no virtctl";
interface Row {
  readonly when: string;
  readonly kind: "dv" | "pvc";
  readonly file?: string;
  readonly flags?: readonly string[];
  readonly isThere?: boolean;
}
const sized = ["--size", "32Mi"];
const rows: Row[] = [
  { when: "a new DataVolume, raw", kind: "dv", flags: sized },
  {
    when: "a new DataVolume, qcow2, the proxy's certificate unchecked",
    kind: "dv",
    file: "disk.qcow2",
    flags: [...sized, "--insecure"],
  },
  { when: "a new DataVolume on a device", kind: "dv", flags: [...sized, "--block-volume"] },
  { when: "a new claim", kind: "pvc", flags: sized },
  { when: "a new claim on a device", kind: "pvc", file: "disk.qcow2", flags: [...sized, "--block-volume"] },
  { when: "a DataVolume that is there", kind: "dv", flags: ["--no-create"], isThere: true },
  {
    when: "a class that waits for its first consumer, bound by force",
    kind: "dv",
    flags: [...sized, "--storage-class", "local-wffc", "--force-bind"],
  },
];

const title = virtctl === undefined ? `skipped: ${why}` : "virtctl image-upload";
describe.skipIf(virtctl === undefined)(title, () => {
  const on = useUploadCluster();

  async function upload(...args: string[]): Promise<void> {
    const always = ["image-upload", "--kubeconfig", on().file("kubeconfig"), "--namespace", "default"];
    // Without --insecure it trusts whom its system trusts.
    const env = { ...process.env, SSL_CERT_FILE: on().file("ca.pem") };
    await run(virtctl ?? "", [...always, ...args], { env, timeout: 180_000 });
  }

  test.each(rows.map((row, index) => ({ ...row, name: `real-${index}` })))(
    "$when",
    { timeout: 240_000 },
    async ({ kind, file = "disk.img", flags = [], isThere, name }) => {
      if (isThere) await emptyVolume(on(), name);
      await upload(kind, name, "--image-path", on().file(file), ...flags);
      if (kind === "dv") await untilSucceeded(on(), name);
      expect(holdsImage((await diskOf(on().cluster, name)) as Buffer, image)).toBe(true);
    },
  );

  test("an archive", { timeout: 240_000 }, async () => {
    await upload("dv", "real-archive", "--archive-path", on().file("tree.tar"), ...sized);
    await untilSucceeded(on(), "real-archive");
    const folder = await mkdtemp(on().file("unpacked-"));
    await copyTreeOf(on().cluster, "real-archive", folder);
    expect(await readFile(join(folder, "sub/hello"), "utf8")).toBe("hello from the tree\n");
  });
});
