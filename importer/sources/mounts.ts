// What ConfigMaps and Secrets mounted into the pod hold for a source: trusted certificates and secret headers.
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../src/lib/faults.ts";
import type { Log } from "../../src/lib/log.ts";
import { Secret } from "../../src/lib/secret.ts";

const pemBlock = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** PEM blocks of every file in the folder; none when there is no such folder. @throws Fault ConfigInvalid naming the file */
export async function readCertificates(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const file of await filesIn(folder)) found.push(...(await readCertificateFile(file)));
  return found;
}

/**
 * What a registry is trusted by: files ending in .crt or .pem, others are passed over with a warning, as upstream does.
 * @throws Fault ConfigInvalid naming the file
 */
export async function readRegistryCertificates(folder: string, log: Log): Promise<string[]> {
  const files = await filesIn(folder);
  const isTaken = (file: string): boolean => /\.(crt|pem)$/.test(file);
  const [taken, other] = [files.filter(isTaken), files.filter((file) => !isTaken(file))];
  if (other.length > 0) log.warn("Passing over files that are no certificates by their name", { files: other });
  return (await Promise.all(taken.map((file) => readCertificateFile(file)))).flat();
}

/** PEM certificates of one file, at least one. @throws Fault ConfigInvalid naming the file */
export async function readCertificateFile(file: string): Promise<string[]> {
  const text = await read(file);
  const blocks = text.match(pemBlock) ?? [];
  if (blocks.length === 0) throw new Fault("ConfigInvalid", `${file} holds no PEM certificate`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block).toString();
    } catch (cause) {
      throw new Fault("ConfigInvalid", `certificate ${index + 1} in ${file} cannot be read`, { cause });
    }
  });
}

/** One header line per file below `root/<n>/`, folders in the order of their numbers. @throws Fault ConfigInvalid */
export async function readSecretHeaders(root: string): Promise<Secret[]> {
  const folders = (await namesIn(root)).sort((a, b) => Number(a) - Number(b));
  const found: Secret[] = [];
  for (const folder of folders) {
    for (const file of await filesIn(join(root, folder))) found.push(new Secret((await read(file)).trim()));
  }
  return found;
}

/** Files without a leading dot, sorted, links followed: kubelet mounts each key as a link into "..data". */
async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const name of await namesIn(folder)) {
    const file = join(folder, name);
    const found = await stat(file).catch((cause: unknown) => {
      throw unreadable(file, cause);
    });
    if (found.isFile()) files.push(file);
  }
  return files;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw unreadable(folder, cause);
  }
}

async function read(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
}

const unreadable = (path: string, cause: unknown): Fault =>
  new Fault("ConfigInvalid", `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
