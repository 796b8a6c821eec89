// Which image a container runs from: one of the node's own programs, or one of others, pulled. While it cannot be had the container
// waits, with the kubelet's reasons and words.
import { annotations } from "../../api/annotations.ts";
import type { RunConfig } from "../../contract/image-pull.ts";
import { backoffDelay } from "../../lib/backoff.ts";
import { PullFailed, type HeldImage, type ImageWanted, type PullPolicy } from "../images/index.ts";
import { tell, type ContainerWorld } from "./container-world.ts";
import { filesIn } from "./environment.ts";
import type { Container } from "./pod-types.ts";
import type { ContainerFacts } from "./status.ts";

/** @returns undefined for a program of the node's own. @throws the signal's reason when the pod ends first */
export async function imageOf(about: ContainerWorld, facts: ContainerFacts): Promise<HeldImage | undefined> {
  const { world, signal } = about;
  const { image } = facts.container;
  for (let failures = 1; ; failures += 1) {
    try {
      if (world.images[image]) {
        tell(about, facts, "Pulled", `Container image "${image}" already present on machine`);
        return undefined;
      }
      return await pulled(about, facts);
    } catch (cause) {
      if (!(cause instanceof PullFailed)) throw cause;
      await tellFailure(about, facts, cause);
    }
    await world.clock.sleep(backoffDelay(failures, world.backoff), signal);
  }
}

async function pulled(about: ContainerWorld, facts: ContainerFacts): Promise<HeldImage> {
  const { world, uid, signal } = about;
  const { image } = facts.container;
  if (!world.pulled) throw new PullFailed("ErrImagePull", whyNot(about, image));
  const begunMs = world.clock.now();
  const onPull = (): void => tell(about, facts, "Pulling", `Pulling image "${image}"`);
  const found = await world.pulled.hold(wantedOf(about, facts.container), { user: uid, signal, onPull });
  facts.imageId = found.image.id;
  const took = `${(world.clock.now() - begunMs) / 1000}s`;
  const size = `Image size: ${found.image.sizeBytes} bytes.`;
  const message = found.isFresh
    ? `Successfully pulled image "${image}" in ${took} (${took} including waiting). ${size}`
    : `Container image "${image}" already present on machine`;
  tell(about, facts, "Pulled", message);
  return found.image;
}

const whyNot = ({ world }: ContainerWorld, image: string): string =>
  world.volumes.road === "device"
    ? `image "${image}" is not one this node has, and it pulls none`
    : `image "${image}" is not one this node has, and it runs no others: that takes root and mount namespaces`;

function wantedOf({ world, pod }: ContainerWorld, { image, imagePullPolicy }: Container): ImageWanted {
  const { metadata, spec } = pod();
  const { namespace = "" } = metadata;
  const auths = (spec.imagePullSecrets ?? []).flatMap(({ name = "" }) => {
    const files = filesIn(world.secrets.get({ namespace, name }));
    const config = files[".dockerconfigjson"] ?? (files[".dockercfg"] && wrapped(files[".dockercfg"]));
    return config ? [config.toString("utf8")] : [];
  });
  return {
    image,
    policy: policyOf(imagePullPolicy, image),
    architecture: spec.nodeSelector?.[annotations.nodeArchitecture],
    auths,
  };
}

/** The old form is the inner part of the new one. */
const wrapped = (config: Buffer): Buffer => Buffer.from(`{"auths":${config.toString("utf8")}}`);

function policyOf(said: string | undefined, image: string): PullPolicy {
  if (said === "Always" || said === "IfNotPresent" || said === "Never") return said;
  const isLatest = !image.includes("@") && /(^|\/)[^/:]+(:latest)?$/.test(image);
  return isLatest ? "Always" : "IfNotPresent";
}

const imageReasons = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];

export const waitsForImage = ({ state }: Pick<ContainerFacts, "state">): boolean =>
  imageReasons.includes(state.waiting?.reason ?? "");

async function tellFailure(
  about: ContainerWorld,
  facts: ContainerFacts,
  { reason, message }: PullFailed,
): Promise<void> {
  const { image } = facts.container;
  const wait = async (why: string, words: string): Promise<void> => {
    if (facts.state.terminated) facts.lastState = { terminated: facts.state.terminated };
    facts.state = { waiting: { reason: why, message: words } };
    await about.publish();
  };
  if (reason === "ErrImagePull") tell(about, facts, "Failed", `Failed to pull image "${image}": ${message}`, "Warning");
  else if (reason === "InvalidImageName") tell(about, facts, "InspectFailed", message, "Warning");
  else tell(about, facts, reason, message, "Warning");
  tell(about, facts, "Failed", `Error: ${reason}`, "Warning");
  await wait(reason, message);
  about.rest();
  if (reason !== "ErrImagePull") return;
  const words = `Back-off pulling image "${image}"`;
  tell(about, facts, "BackOff", words);
  tell(about, facts, "Failed", "Error: ImagePullBackOff", "Warning");
  await wait("ImagePullBackOff", `${words}: ErrImagePull: ${message}`);
}

/** Our own images: a program by the image's name, or by the command's first word. */
export function argvOfOwn(
  { image, command = [], args = [] }: Container,
  images: Readonly<Record<string, readonly string[]>>,
): string[] {
  const [first, ...rest] = command;
  if (first === undefined) return [...(images[image] ?? []), ...args];
  return [...(images[first] ?? [first]), ...rest, ...args];
}

/** A command of the pod's leaves out both of the image's words, arguments only the second. Empty where nobody says anything. */
export function argvInImage({ command = [], args = [] }: Container, config: RunConfig): string[] {
  if (command.length > 0) return [...command, ...args];
  return [...config.entrypoint, ...(args.length > 0 ? args : config.command)];
}
