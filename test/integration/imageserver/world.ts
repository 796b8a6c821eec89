// An image that holds nothing but its disk, and the image server started in it: as root in a root of its own, read-only and as
// uid 107, from what its init container copied; as an ordinary user beside it.
import { execFileSync, spawn } from "node:child_process";
import { chown, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { nodePull, serverCommand, silencedVariables } from "../../../src/contract/node-pull.ts";
import { makePod, projectRoot, type Pod } from "../importer/world.ts";

export const program = join(projectRoot, "dist/containerimage-server.mjs");
export const isRoot = process.getuid?.() === 0;

export interface ImagePod extends Pod {
  /** The image's root. */
  readonly image: string;
}

/** @param disks files of the image's folder /disk, by name. @param folders further ones */
export async function makeImagePod(disks: Record<string, string>, folders: readonly string[] = []): Promise<ImagePod> {
  const pod = await makePod();
  onTestFinished(() => pod.remove());
  const image = pod.at("image");
  for (const name of ["disk", "shared", ...folders]) await mkdir(join(image, name), { recursive: true });
  for (const [name, from] of Object.entries(disks)) await copyFile(from, join(image, "disk", name));
  await mkdir(pod.at("shared"));
  copyServer(pod);
  // As the node does.
  await mkdir(join(image, "dev"));
  await writeFile(join(image, "dev/termination-log"), "");
  if (isRoot) for (const path of [pod.at("shared"), join(image, "dev/termination-log")]) await chown(path, 107, 107);
  return { ...pod, image };
}

/** What the init container does. */
export function copyServer(pod: Pod): void {
  execFileSync(process.execPath, [program, "-copy-to", pod.at("shared")], { stdio: "pipe" });
}

/** A container runtime's part: the image read-only, the shared volume in it, no way to more rights. */
const inImage = `
set -e
mount --make-rprivate /
mount --bind "$IMAGE" "$IMAGE"
mount --bind "$SHARED" "$IMAGE/shared"
mount --bind "$IMAGE/dev/termination-log" "$IMAGE/dev/termination-log"
mount -o remount,bind,ro "$IMAGE"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $IMAGE_ENV setpriv --no-new-privs chroot --userspec=107:107 --groups= "$IMAGE" "$@"
`;

export interface RunningServer {
  /** Once it serves; undefined when it ended instead. */
  readonly port: Promise<number | undefined>;
  readonly ended: Promise<{ exit: number | null; log: string }>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/** @param imageEnv of the image, words without blanks */
export function startServer(pod: ImagePod, imageEnv: readonly string[] = []): RunningServer {
  const { PATH = "" } = process.env;
  const inside = serverCommand.map((word) => (word === String(nodePull.port) ? "0" : word));
  const beside = [pod.at("shared/server.mjs"), "-p", "0", "-image-dir", join(pod.image, "disk")];
  // What the pod says goes before what the image says.
  const env = [...imageEnv, ...silencedVariables.map((name) => `${name}=`)];
  const files = ["-ready-file", pod.at("shared/ready"), "-done-file", pod.at("shared/done")];
  const child = isRoot
    ? spawn("unshare", ["-m", "sh", "-c", inImage, "container", ...inside], {
        env: {
          PATH: `${PATH}:/usr/sbin:/sbin`,
          IMAGE: pod.image,
          SHARED: pod.at("shared"),
          IMAGE_ENV: env.join(" "),
        },
        stdio: ["ignore", "ignore", "pipe"],
      })
    : spawn(process.execPath, [...beside, ...files], {
        env: Object.fromEntries(env.map((line) => line.split("=") as [string, string])),
        stdio: ["ignore", "ignore", "pipe"],
      });
  onTestFinished(() => void child.kill("SIGKILL"));
  let log = "";
  const told = Promise.withResolvers<number | undefined>();
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
    const port = /"port":(\d+)/.exec(log)?.[1];
    if (port !== undefined) told.resolve(Number(port));
  });
  const ended = new Promise<{ exit: number | null; log: string }>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit) => {
      told.resolve(undefined);
      done({ exit, log });
    });
  });
  return { port: told.promise, ended, kill: (signal) => void child.kill(signal) };
}
