// A volume in use: attached for its first pod, shared by the next ones, let go after the last.
import { stat } from "node:fs/promises";
import type { Log } from "../../lib/log.ts";
import { growBacking, makeMountable, type VolumeMode } from "./backing.ts";
import { attachLoop, type LoopDevice } from "./loop.ts";

/** How a pod reaches the volume; one of the three. */
export type Access =
  | { by: "folder"; path: string }
  | { by: "file"; path: string }
  | { by: "device"; path: string; major: number; minor: number };

export interface Attachment {
  readonly mode: VolumeMode;
  /** Size of the claim's volume in bytes. */
  readonly sizeBytes: number;
  readonly access: Access;
  /** Doing it twice is doing it once. */
  release(): Promise<void>;
}

export interface Backing {
  path: string;
  mode: VolumeMode;
  sizeBytes: number;
  /** Made by us: a fresh one is formatted. A user's own image (static volume) is mounted as it is. */
  ours: boolean;
}

export interface Attachments {
  attach(volume: string, backing: Backing): Promise<Attachment>;
  /** @returns false while pods hold the file system on it: it cannot grow then */
  grow(volume: string, backing: Backing): Promise<boolean>;
  /** Resolves when no pod has the volume. */
  idle(volume: string): Promise<void>;
}

interface Held {
  users: number;
  access: Access;
  loop?: LoopDevice;
}

/**
 * @param mayUseDevices false where we are not root: bytes are handed out as the file itself
 * @param onIdle told of each volume that its last pod has let go
 */
export function createAttachments(mayUseDevices: boolean, log: Log, onIdle: (volume: string) => void): Attachments {
  const held = new Map<string, Held>();
  // Per volume: attach and release never overlap.
  const lines = new Map<string, Promise<unknown>>();
  function inLine<T>(volume: string, act: () => Promise<T>): Promise<T> {
    const turn = (lines.get(volume) ?? Promise.resolve()).then(act);
    const settled = turn
      .catch(() => undefined)
      .then(() => {
        if (lines.get(volume) === settled) lines.delete(volume);
      });
    lines.set(volume, settled);
    return turn;
  }
  const idlers = new Map<string, (() => void)[]>();

  async function reach({ path, mode, ours }: Backing): Promise<Held> {
    const kind = await stat(path);
    if (kind.isDirectory()) return { users: 0, access: { by: "folder", path } };
    if (!mayUseDevices) {
      if (mode === "Filesystem") throw new Error(`${path} holds a file system: only root can mount it`);
      return { users: 0, access: { by: "file", path } };
    }
    if (kind.isBlockDevice()) {
      const [major, minor] = [(kind.rdev >> 8) & 0xfff, (kind.rdev & 0xff) | ((kind.rdev >> 12) & 0xfff00)];
      return { users: 0, access: { by: "device", path, major, minor } };
    }
    if (mode === "Filesystem" && ours) await makeMountable(path);
    const loop = await attachLoop(path);
    return { users: 0, loop, access: { by: "device", path: loop.path, major: loop.major, minor: loop.minor } };
  }

  async function release(volume: string): Promise<void> {
    const one = held.get(volume);
    if (!one) return;
    one.users -= 1;
    if (one.users > 0) return;
    held.delete(volume);
    await one.loop?.release().catch((cause: unknown) => {
      log.warn("Volume was let go, its loop device is still held", { volume, cause: String(cause) });
    });
    for (const wake of idlers.get(volume) ?? []) wake();
    idlers.delete(volume);
    onIdle(volume);
  }

  return {
    attach: (volume, backing) =>
      inLine(volume, async () => {
        const one = held.get(volume) ?? (await reach(backing));
        one.users += 1;
        held.set(volume, one);
        let released: Promise<void> | undefined;
        const letGo = () => (released ??= inLine(volume, () => release(volume)));
        return { mode: backing.mode, sizeBytes: backing.sizeBytes, access: one.access, release: letGo };
      }),
    grow: (volume, { path, mode, sizeBytes }) =>
      inLine(volume, async () => {
        if ((await stat(path)).isDirectory()) return true; // its size is the claim's word
        const one = held.get(volume);
        if (one && mode === "Filesystem") return false;
        await growBacking(path, sizeBytes, mode);
        await one?.loop?.grow();
        return true;
      }),
    async idle(volume) {
      await lines.get(volume);
      if (!held.has(volume)) return;
      await new Promise<void>((resolve) => idlers.set(volume, [...(idlers.get(volume) ?? []), resolve]));
    },
  };
}
