// Secrets and ConfigMaps as folders, written as the kubelet writes them: all files of one version in a folder of its own,
// `..data` pointing to it, and each name pointing through `..data`. A change swaps one link.
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readlink,
  readdir,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KeyToPath } from "./pod-types.ts";

export interface FilesToWrite {
  files: Readonly<Record<string, Buffer>>;
  items?: readonly KeyToPath[] | undefined;
  /** Mode of files without their own; 0644 by default. */
  defaultMode?: number | undefined;
  /** Owned by this group, readable to it. */
  fsGroup?: number | undefined;
}

/** @throws Error for an item whose key is not there, or a path that leaves the folder */
export async function writeFilesVolume(folder: string, wanted: FilesToWrite): Promise<void> {
  const { files, fsGroup } = wanted;
  const rows = (wanted.items ?? Object.keys(files).map((key): KeyToPath => ({ key, path: key }))).map((item) => {
    const bytes = files[item.key];
    if (!bytes) throw new Error(`references non-existent config key: ${item.key}`);
    if (item.path.startsWith("/") || item.path.split("/").includes("..")) {
      throw new Error(`path ${JSON.stringify(item.path)} leaves the volume`);
    }
    return { path: item.path, bytes, mode: item.mode ?? wanted.defaultMode ?? 0o644 };
  });
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const version = `..${Date.now()}_${process.hrtime.bigint() % 1_000_000_000n}`;
  await mkdir(join(folder, version), { mode: 0o755 });
  for (const { path, bytes, mode } of rows) {
    const file = join(folder, version, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, bytes, { mode: 0o600 });
    if (fsGroup !== undefined) await chown(file, -1, fsGroup);
    await chmod(file, fsGroup === undefined ? mode : mode | 0o040);
  }
  const former = await readlink(join(folder, "..data")).catch(() => undefined); // none yet
  await symlink(version, join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  const tops = new Set(rows.map(({ path }) => path.split("/")[0] ?? ""));
  for (const top of tops) {
    const there = await lstat(join(folder, top)).catch(() => undefined);
    if (!there) await symlink(join("..data", top), join(folder, top));
  }
  for (const name of await readdir(folder))
    if (!name.startsWith("..") && !tops.has(name)) await unlink(join(folder, name));
  if (former) await rm(join(folder, former), { recursive: true, force: true });
}
