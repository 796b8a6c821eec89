// Credentials of registries, in each shape and right and wrong, and tokens of uploads: none of them shows in what anybody prints
// at the highest verbosity, in logs, events, statuses and last messages. The watch beside the cluster looks at the rest.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout, removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { diskImage } from "../support/container-disk.ts";
import { makeFolder } from "../support/loop.ts";
import { noRegistry, startRegistry, startTokenServer, type Registry, type TokenServer } from "../support/registry.ts";
import { markedSecret, markSightings, sightingsIn } from "../support/secret-scan.ts";
import { makeSparseImage } from "../support/sparse-image.ts";
import { virtctlOver } from "../support/virtctl-client.ts";

const run = promisify(execFile);
const mib = 1024 * 1024;
const user = "maria";
const secrets = {
  basic: markedSecret("registry-basic"),
  token: markedSecret("registry-token"),
  wrong: markedSecret("registry-wrong"),
  bearer: markedSecret("upload-bearer"),
};

describe.skipIf(noRegistry !== undefined)(
  "secrets of registries and uploads",
  () => {
    const release: (() => Promise<void>)[] = [];
    const atEnd = (act: () => Promise<void>): number => release.push(act);
    const image = makeSparseImage(8 * mib, 30, 77);
    let up: CdiUp;
    let plain: Registry;
    let basic: Registry;
    let tokens: TokenServer;
    let tokened: Registry;
    let file: string;

    beforeAll(async () => {
      file = join(await makeFolder("cdi-registry-secrets-", atEnd), "disk.img");
      await writeFile(file, image);
      plain = await startRegistry({}, atEnd);
      basic = await startRegistry({ store: plain.store, tls: true, basic: { user, password: secrets.basic } }, atEnd);
      tokens = await startTokenServer(user, secrets.token, atEnd);
      tokened = await startRegistry({ store: plain.store, tokens }, atEnd);
      await plain.push("vm/disk", "1", await diskImage(image));
      const dir = await temporaryDir();
      up = await startCdiUp({ dir, args: ["--no-sample", "-v", "5"] });
      atEnd(async () => {
        await up.stop();
        await removeDir(dir);
      });
      const insecure = JSON.stringify({ spec: { insecureRegistries: [tokened.host] } });
      await up.kubectl("patch", "cdiconfig", "config", "--type=merge", "-p", insecure);
      const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ca" }, data: { "ca.crt": basic.ca } };
      const items = [map, ...rows.flatMap(objectsOf)];
      await up.kubectlWith(JSON.stringify({ apiVersion: "v1", kind: "List", items }), "apply", "-f", "-");
    }, 120_000);
    afterAll(async () => {
      for (const act of release.reverse()) await act();
    });

    const keys = (password: string): object => ({ stringData: { accessKeyId: user, secretKey: password } });
    const dockerConfig = (host: string, password: string): object => {
      const auth = Buffer.from(`${user}:${password}`).toString("base64");
      const text = JSON.stringify({ auths: { [host]: { auth } } });
      return { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": text } };
    };
    const rows = [
      { name: "basic", registry: () => basic, secret: () => keys(secrets.basic) },
      { name: "basic-docker", registry: () => basic, secret: () => dockerConfig(basic.host, secrets.basic) },
      { name: "token", registry: () => tokened, secret: () => keys(secrets.token) },
      { name: "token-docker", registry: () => tokened, secret: () => dockerConfig(tokened.host, secrets.token) },
      { name: "basic-wrong", registry: () => basic, secret: () => keys(secrets.wrong), isRefused: true },
      {
        name: "basic-docker-wrong",
        registry: () => basic,
        secret: () => dockerConfig(basic.host, secrets.wrong),
        isRefused: true,
      },
      { name: "token-wrong", registry: () => tokened, secret: () => keys(secrets.wrong), isRefused: true },
    ];

    /** The secret, and a DataVolume that uses it. */
    function objectsOf({ name, registry, secret }: (typeof rows)[number]): object[] {
      const source = {
        registry: { url: `docker://${registry().host}/vm/disk:1`, secretRef: name, certConfigMap: "ca" },
      };
      const retain = { "cdi.kubevirt.io/storage.pod.retainAfterCompletion": "true" };
      const pvc = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } };
      return [
        { apiVersion: "v1", kind: "Secret", metadata: { name }, ...secret() },
        {
          apiVersion: "cdi.kubevirt.io/v1beta1",
          kind: "DataVolume",
          metadata: { name, annotations: retain },
          spec: { source, pvc },
        },
      ];
    }

    /** All that is told of one: its description, its pod's log. */
    async function expectSilence(name: string, ...more: string[]): Promise<void> {
      const texts = [...more, await up.kubectl("describe", "dv", name), up.printed()];
      const found = texts.flatMap((text, index) => sightingsIn(`text ${index}`, text, Object.values(secrets)));
      expect(found).toEqual([]);
    }

    test.each(rows)("an image with credentials: $name", async ({ name, isRefused = false }) => {
      const code = () => up.kubectl("get", "dv", name, "-o", "jsonpath={.status.phase} {.status.transfer.code}");
      await expect
        .poll(code, { timeout: 60_000, interval: 200 })
        .toMatch(isRefused ? /SourceUnauthorized/ : /^Succeeded/);
      // A container that failed starts again with a new log.
      const logs = (which: string[]) => up.kubectl("logs", `importer-${name}`, ...which).catch(String);
      let log = "";
      const bothLogs = async (): Promise<string> =>
        (log = (await logs([])) + (isRefused ? await logs(["--previous"]) : ""));
      await expect
        .poll(bothLogs, { timeout: 60_000, interval: 200 })
        .toContain(isRefused ? "Unauthorized" : "Importing");
      await expectSilence(name, log);
    });

    test("the token server was given the credentials: there was something to hide", () => {
      const given = (password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
      const seen = new Set(tokens.requests.map(({ authorization }) => authorization));
      expect(seen).toEqual(new Set([given(secrets.token), given(secrets.wrong)]));
    });

    test.each(["old", "new"] as const)(
      "an upload as virtctl makes it, %s, with its token and with a wrong one",
      async (style) => {
        const given: string[] = [];
        const name = `upload-${style}`;
        const wish = { style, kind: "dv", name, path: file, size: "16Mi", insecure: true, forceBind: true } as const;
        const virtctl = virtctlOver(await readFile(up.kubeconfig, "utf8"));
        const refused = virtctl.upload({ ...wish, token: () => secrets.bearer });
        // The answer itself, also to a client that is still sending.
        await expect(refused).rejects.toThrow(
          style === "old" ? "unexpected return value 401" : "authentication failed",
        );
        await virtctl.upload({ ...wish, noCreate: true, token: (token) => (given.push(token), token) });
        expect(given.flatMap(markSightings)).toEqual(["a token"]);
        expect(sightingsIn("what cdi up printed", up.printed(), given)).toEqual([]);
        await expectSilence(name);
      },
    );

    test("a resumable upload", async () => {
      const words = ["upload", file, "dv/upload-tus", "--size", "16Mi", "--insecure", "--force-bind", "--wait"];
      const cdi = [join(checkout, "dist", "cdi.js"), ...words, "--kubeconfig", up.kubeconfig];
      const env = { ...process.env, XDG_STATE_HOME: up.dir };
      const { stdout, stderr } = await run(process.execPath, cdi, { env, timeout: 120_000 });
      expect(stdout).toContain("dv/upload-tus");
      expect([stdout, stderr].flatMap(markSightings)).toEqual([]);
      await expectSilence("upload-tus");
    });
  },
  120_000,
);
