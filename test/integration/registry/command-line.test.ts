// `cdi import` and `cdi inspect` of container images, from the outside: each way to name one, each way to give credentials, and
// no place for temporary files.
import { execFile, execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildIndex, diskImage } from "../../support/container-disk.ts";
import { makeRawImage, seededBytes } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import {
  noRegistry,
  startRegistry,
  startTokenServer,
  type Registry,
  type TokenServer,
} from "../../support/registry.ts";
import { markedSecret, sightingsIn } from "../../support/secret-scan.ts";
import { ensureBuilt, projectRoot } from "../importer/world.ts";

const login = { user: "maria", password: markedSecret("cli") };
const wrong = markedSecret("cli-wrong");

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly object: Record<string, unknown>;
}

describe.skipIf(noRegistry !== undefined)("container images on the command line", () => {
  const ends: (() => Promise<void>)[] = [];
  const disk = makeRawImage(4 * 2 ** 20, 12, 21);
  const arm = seededBytes(2 ** 20, "arm");
  let plain: Registry;
  let basic: Registry;
  let tokened: Registry;
  let tokens: TokenServer;
  let folder: string;
  let work: string;

  beforeAll(async () => {
    ensureBuilt();
    const atEnd = (end: () => Promise<void>): void => void ends.unshift(end);
    folder = await makeFolder("cdi-registry-cli-", atEnd);
    plain = await startRegistry({}, atEnd);
    basic = await startRegistry({ store: plain.store, tls: true, basic: login }, atEnd);
    tokens = await startTokenServer(login.user, login.password, atEnd);
    tokened = await startRegistry({ store: plain.store, tokens }, atEnd);
    const at = (name: string): string => join(folder, name);
    await writeFile(at("disk.img"), disk);
    execFileSync("qemu-img", ["convert", "-c", "-O", "qcow2", at("disk.img"), at("disk.qcow2")]);
    const qcow2 = await readFile(at("disk.qcow2"));
    for (const form of ["gzip", "zstd"] as const) {
      await plain.push(form, "1", await diskImage(qcow2, { form }, "disk/disk.qcow2"));
    }
    await plain.push("docker", "1", await diskImage(qcow2, { kind: "docker" }, "disk/disk.qcow2"));
    const images = [diskImage(disk), diskImage(arm, { architecture: "arm64" })];
    await plain.push("two", "1", buildIndex(await Promise.all(images)));
    const copy = (image: string, to: string): void => {
      const from = ["--insecure-policy", "--src-tls-verify=false", `docker://${plain.host}/${image}:1`];
      execFileSync("skopeo", ["copy", "--quiet", ...from, to]);
    };
    copy("gzip", `oci-archive:${at("oci.tar")}:mine`);
    copy("docker", `docker-archive:${at("saved.tar")}:mine:1`);
    await writeFile(at("ca.crt"), basic.ca);
    await writeFile(at("password"), `${login.password}\n`);
    await writeFile(at("wrong"), wrong);
    const auth = Buffer.from(`${login.user}:${login.password}`).toString("base64");
    const auths = { [basic.host]: { auth }, [tokened.host]: { auth } };
    await writeFile(at("auth.json"), JSON.stringify({ auths }));
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });
  beforeEach(async () => {
    work = await makeFolder();
  });

  const target = (): string => join(work, "disk.img");
  const cdi = (verb: string, args: readonly string[], env: Record<string, string> = {}): Promise<Said> =>
    new Promise((resolve) => {
      const words = [join(projectRoot, "bin/cdi.mjs"), verb, ...args, "--output", "json"];
      const surroundings = { PATH: process.env["PATH"], HOME: "/nonexistent", TMPDIR: "/nonexistent", ...env };
      execFile(process.execPath, words, { env: surroundings }, (error, stdout, stderr) => {
        const object = JSON.parse(stdout || "{}") as Record<string, unknown>;
        resolve({ status: Number(error?.code ?? 0), stdout, stderr, object });
      });
    });

  interface Row {
    readonly when: string;
    readonly args: () => string[];
    readonly env?: () => Record<string, string>;
    readonly disk?: Buffer;
    readonly format?: string;
  }
  /** Behind a password, with TLS of its own authority. */
  const guarded = (): string[] => [`docker://${basic.host}/two:1`, "--ca", `${folder}/ca.crt`];
  const rows: readonly Row[] = [
    { when: "a qcow2 in a gzip layer", args: () => [`docker://${plain.host}/gzip:1`, "--insecure"], format: "qcow2" },
    { when: "a qcow2 in a zstd layer", args: () => [`docker://${plain.host}/zstd:1`, "--insecure"], format: "qcow2" },
    { when: "oci-archive:", args: () => [`oci-archive:${folder}/oci.tar:mine`], format: "qcow2" },
    { when: "docker-archive:", args: () => [`docker-archive:${folder}/saved.tar:mine:1`], format: "qcow2" },
    {
      when: "--platform",
      args: () => [`docker://${plain.host}/two:1`, "--insecure", "--platform", "linux/arm64"],
      disk: arm,
    },
    {
      when: "--username and --password-file, with --ca",
      args: () => [
        ...guarded(),
        "--platform",
        "amd64",
        "--username",
        login.user,
        "--password-file",
        `${folder}/password`,
      ],
    },
    {
      when: "--registry-auth-file for basic auth",
      args: () => [...guarded(), "--platform", "amd64", "--registry-auth-file", `${folder}/auth.json`],
    },
    {
      when: "REGISTRY_AUTH_FILE for tokens",
      args: () => [`docker://${tokened.host}/two:1`, "--platform", "amd64", "--insecure"],
      env: () => ({ REGISTRY_AUTH_FILE: `${folder}/auth.json` }),
    },
  ];

  test.each(rows)("$when", async ({ args, env, disk: wanted = disk, format = "raw" }) => {
    const [image = "", ...flags] = args();
    const inspected = await cdi("inspect", [image, ...flags], env?.());
    expect(inspected, inspected.stderr).toMatchObject({ status: 0, object: { ok: true, format } });
    const said = await cdi("import", [image, target(), ...flags], env?.());
    expect(said, said.stderr).toMatchObject({ status: 0, object: { ok: true, format, scratchPeak: 0 } });
    expect((await readFile(target())).equals(wanted)).toBe(true);
    expect(await readdir(work)).toEqual(["disk.img"]);
    const secrets = [login.password, wrong];
    for (const one of [inspected, said]) expect(sightingsIn("out", one.stdout + one.stderr, secrets)).toEqual([]);
  });

  const refused: readonly (Row & { code: string; status: number })[] = [
    {
      when: "a wrong password",
      args: () => [...guarded(), "--username", login.user, "--password-file", `${folder}/wrong`],
      code: "SourceUnauthorized",
      status: 75,
    },
    {
      when: "no password where tokens are asked for",
      args: () => [`docker://${tokened.host}/two:1`, "--insecure"],
      code: "SourceUnauthorized",
      status: 75,
    },
    {
      when: "an authority that is not given",
      args: () => [`docker://${basic.host}/two:1`],
      code: "UnknownAuthority",
      status: 80,
    },
    {
      when: "a platform that is not there",
      args: () => [`docker://${plain.host}/two:1`, "--insecure", "--platform", "s390x"],
      code: "PlatformMissing",
      status: 107,
    },
    {
      when: "a user name without a password",
      args: () => [`docker://${plain.host}/two:1`, "--username", "maria"],
      code: "ConfigInvalid",
      status: 2,
    },
  ];
  test.each(refused)("$when: $code, and no disk", async ({ args, code, status }) => {
    const [image = "", ...flags] = args();
    const said = await cdi("import", [image, target(), ...flags]);
    expect(said, said.stderr).toMatchObject({ status, object: { ok: false, code } });
    expect(await readdir(work)).toEqual([]);
    expect(sightingsIn("out", said.stdout + said.stderr, [login.password, wrong])).toEqual([]);
  });
});
