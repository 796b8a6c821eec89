// What every test of the upload server starts with: images, certificates, servers that are gone when the test is over, and what a
// done upload looks like.
import { execFileSync } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { ensureBuilt, makeFolder, makeImages, type Images } from "../importer/world.ts";
import { diskOf, makeCertificates, startServer, type Certificates, type Server, type StartOptions } from "./world.ts";

export const tooLarge = "Saving stream failed: effective image size is larger than the reported available storage: ";
export const complete = { preallocationApplied: false, message: "Upload Complete" };

export interface Uploads {
  /** There from beforeAll on. */
  readonly certificates: () => Certificates;
  readonly images: () => Images;
  readonly qcow2: () => Buffer;
  readonly vmdk: () => Buffer;
  readonly folder: () => string;
  readonly serve: (options?: StartOptions) => Promise<Server>;
  /** The upload comes out whole, and the program ends well. */
  readonly expectDone: (server: Server, message?: unknown) => Promise<void>;
}

export function useUploads(): Uploads {
  let made: { certificates: Certificates; images: Images; qcow2: Buffer; vmdk: Buffer } | undefined;
  let folder: Awaited<ReturnType<typeof makeFolder>> | undefined;
  const running: Server[] = [];
  const there = () => {
    if (!made) throw new Error("not yet made");
    return made;
  };
  beforeAll(async () => {
    ensureBuilt();
    folder = await makeFolder();
    const images = await makeImages(folder.path);
    const path = join(folder.path, "disk.vmdk");
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", images.raw, path]);
    const [qcow2, vmdk] = (await Promise.all([readFile(images.qcow2), readFile(path)])) as [Buffer, Buffer];
    made = { certificates: await makeCertificates(), images, qcow2, vmdk };
  });
  afterEach(async () => {
    for (const server of running.splice(0)) await server.close();
  });
  afterAll(() => folder?.remove());
  return {
    certificates: () => there().certificates,
    images: () => there().images,
    qcow2: () => there().qcow2,
    vmdk: () => there().vmdk,
    folder: () => folder?.path ?? "",
    async serve(options = {}) {
      const server = await startServer(there().certificates, options);
      running.push(server);
      return server;
    },
    async expectDone(server, message = complete) {
      expect(await server.ended).toMatchObject({ exit: 0, message });
      const disk = await diskOf(server);
      expect((await stat(server.pod.at("/data/disk.img"))).mode & 0o777).toBe(0o660);
      const { bytes } = there().images;
      expect(disk?.subarray(0, bytes.length).equals(bytes)).toBe(true);
      expect(await readdir(server.pod.at("/data"))).toEqual(["disk.img"]);
    },
  };
}
