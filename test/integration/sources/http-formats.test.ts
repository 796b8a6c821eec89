// Images of several formats over https, and a qcow2 behind credentials: whole imports from a real server.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { findTool } from "../../../src/datapath/index.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { bring, failureOf, makePlace } from "../../support/bring.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { makeImages, type Images } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import { sourceOf } from "./http-support.ts";

const noQemu = findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)";
const formats = [
  { format: "qcow2", options: [] },
  { format: "vmdk", options: [] },
  { format: "vdi", options: [] },
  // Else the size is rounded up to a geometry.
  { format: "vpc", options: ["-o", "force_size=on"] },
  { format: "vhdx", options: [] },
];
const files: Record<string, Buffer> = {};
let images: Images;

describe.skipIf(noQemu)(`formats over http${noQemu ? `: ${noQemu}` : ""}`, () => {
  beforeAll(async () => {
    const releases: (() => Promise<void>)[] = [];
    const folder = await makeFolder("cdi-formats-", (release) => void releases.push(release));
    images = await makeImages({ folder, sizeBytes: 8 * 1024 * 1024, extents: 12 });
    const raw = await images.file("raw");
    for (const { format, options } of formats) {
      const path = join(folder, `disk.${format}`);
      await promisify(execFile)("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, raw, path]);
      files[`/disk.${format}`] = await readFile(path);
    }
    return async () => {
      for (const release of releases) await release();
    };
  });

  test.each(formats)("$format over https, from a server of an authority that is given", async ({ format }) => {
    const server = await startHttpServer({ files, tls: true });
    const place = await makePlace();
    const source = sourceOf(server.url(`/disk.${format}`), { ca: [server.ca] });
    expect(await bring(source, place)).toMatchObject({ kind: "done" });
    expect((await place.disk()).equals(images.raw)).toBe(true);
    expect(await place.left()).toEqual(["disk.img"]);
  });

  const good = { username: new Secret("user"), password: new Secret("right") };
  test.each([
    { when: "no credentials, none wanted", asks: false, gives: {}, code: "none" },
    { when: "the right credentials", asks: true, gives: good, code: "none" },
    {
      when: "wrong credentials",
      asks: true,
      gives: { ...good, password: new Secret("wrong") },
      code: "SourceUnauthorized",
    },
    { when: "no credentials where some are wanted", asks: true, gives: {}, code: "SourceUnauthorized" },
  ])("a qcow2 with $when", async ({ asks, gives, code }) => {
    const auth = { user: "user", password: "right" };
    const server = await startHttpServer({ files, ...(asks ? { auth } : {}) });
    const place = await makePlace();
    expect((await failureOf(bring(sourceOf(server.url("/disk.qcow2"), gives), place))).code).toBe(code);
    if (code === "none") expect((await place.disk()).equals(images.raw)).toBe(true);
    else expect(await place.left()).toEqual([]);
  });
});
