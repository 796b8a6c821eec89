// The door of images: those the node did not bring along. Pulled by name when a pod wants them, kept while a pod uses them.
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { PulledImage, RunConfig } from "../../contract/image-pull.ts";
import type { Log } from "../../lib/log.ts";
import { createSlots } from "../pods/slots.ts";
import { runPull } from "./pull-process.ts";

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

export interface ImageWanted {
  /** As the pod names it. */
  readonly image: string;
  readonly policy: PullPolicy;
  /** Go's name; absent: this machine's. */
  readonly architecture?: string | undefined;
  /** Docker configs, JSON. */
  readonly auths: readonly string[];
}

export interface HeldImage {
  /** Folder with its files. */
  readonly root: string;
  readonly id: string;
  readonly sizeBytes: number;
  readonly config: RunConfig;
}

/** Reasons and messages are the kubelet's. */
export class PullFailed extends Error {
  readonly reason: "InvalidImageName" | "ErrImagePull" | "ErrImageNeverPull";
  constructor(reason: PullFailed["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface Holder {
  /** Who keeps it until `letGo`. */
  readonly user: string;
  readonly signal: AbortSignal;
  /** A registry is about to be asked. */
  readonly onPull: () => void;
}

export interface Images {
  /** @returns whether it was fetched now. @throws PullFailed; the signal's reason */
  hold(wanted: ImageWanted, by: Holder): Promise<{ image: HeldImage; isFresh: boolean }>;
  /** Of all the user holds; what nobody holds is removed. */
  letGo(user: string): Promise<void>;
}

export interface ImagesOptions {
  /** What it holds from an earlier run is removed. */
  dir: string;
  /** The program that pulls. */
  puller: readonly string[];
  /** Asked anew for each pull. */
  insecureRegistries(): Promise<readonly string[]>;
  log: Log;
}

interface Kept extends HeldImage {
  readonly folder: string;
  readonly digest: string;
  /** Image and architecture, as pods asked for it. */
  readonly names: Set<string>;
  readonly users: Set<string>;
}

/** At once; registries count requests, and disks have one head. */
const mostPulls = 4;

export async function openImages(options: ImagesOptions): Promise<Images> {
  const { dir, puller, log } = options;
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const kept = new Set<Kept>();
  const slots = createSlots(mostPulls);
  let asked = 0;
  /** One pull of a name at a time: who waited finds it there. */
  const lines = new Map<string, Promise<unknown>>();

  const nameOf = ({ image, architecture = "" }: ImageWanted): string => `${image} ${architecture}`;
  const find = (name: string): Kept | undefined => [...kept].find(({ names }) => names.has(name));

  async function pull(wanted: ImageWanted, by: Holder): Promise<{ image: Kept; isFresh: boolean }> {
    const { user, signal } = by;
    const { image, architecture, auths } = wanted;
    const folder = await mkdtemp(join(dir, `${randomUUID()}-`));
    const have = [...kept].map(({ digest }) => digest);
    let pulled: PulledImage;
    try {
      const insecureRegistries = await options.insecureRegistries();
      const request = { image, folder, ...(architecture ? { architecture } : {}), insecureRegistries, auths, have };
      const release = await slots.take(String((asked += 1)).padStart(12, "0"), signal);
      log.info("Pulling an image", { image });
      const answer = await runPull(puller, request, signal).finally(release);
      if ("failed" in answer) throw refusalOf(image, answer.failed);
      ({ pulled } = answer);
    } catch (cause) {
      await rm(folder, { recursive: true, force: true });
      if (signal.aborted || cause instanceof PullFailed) throw cause;
      throw new PullFailed("ErrImagePull", cause instanceof Error ? cause.message : String(cause));
    }
    const { digest, id, sizeBytes, config } = pulled;
    const there = [...kept].find((one) => one.digest === digest);
    if (there || have.includes(digest)) {
      await rm(folder, { recursive: true, force: true });
      // Let go of meanwhile: once more, with nothing to lean on.
      if (!there) return pull(wanted, by);
      there.users.add(user);
      return { image: there, isFresh: false };
    }
    const fresh: Kept = {
      folder,
      root: join(folder, "root"),
      digest,
      id,
      sizeBytes,
      config,
      names: new Set(),
      users: new Set([user]),
    };
    kept.add(fresh);
    return { image: fresh, isFresh: true };
  }

  return {
    async hold(wanted, by) {
      const { user, signal } = by;
      const name = nameOf(wanted);
      const turn = untilTurn(lines.get(name), signal).then(async () => {
        const there = find(name);
        if (there && wanted.policy !== "Always") {
          there.users.add(user);
          return { image: there, isFresh: false };
        }
        if (wanted.policy === "Never") {
          const message = `Container image "${wanted.image}" is not present with pull policy of Never`;
          throw new PullFailed("ErrImageNeverPull", message);
        }
        by.onPull();
        const found = await pull(wanted, by);
        for (const one of kept) one.names.delete(name);
        found.image.names.add(name);
        return found;
      });
      const line = turn.catch(() => undefined); // told to whoever asked
      lines.set(name, line);
      try {
        return await turn;
      } finally {
        if (lines.get(name) === line) lines.delete(name);
      }
    },
    async letGo(user) {
      for (const one of kept) {
        if (!one.users.delete(user) || one.users.size > 0) continue;
        kept.delete(one);
        log.info("Removing an image nobody uses any more", { image: one.id });
        await rm(one.folder, { recursive: true, force: true });
      }
    },
  };
}

/** @throws the signal's reason, also before the turn has come */
async function untilTurn(before: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!before) return;
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", stop);
    void before.then(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
  });
}

const refusalOf = (image: string, { kind, message }: { kind: "name" | "pull"; message: string }): PullFailed =>
  kind === "name"
    ? new PullFailed(
        "InvalidImageName",
        `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`,
      )
    : new PullFailed("ErrImagePull", message);
