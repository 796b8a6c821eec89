// Every authority and certificate of an installation taken away: all are made again, the proxy takes its new ones in place, and
// servers that start from then on take uploads. One that stood there before believes whom it was told of: its pod is deleted.
import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { ConfigMap, KubeSecret } from "../../src/api/core.ts";
import { kinds } from "../../src/api/kinds.ts";
import { bundleKey, signers, type Signer } from "../../src/contract/install-names.ts";
import { cdiNamespace } from "../../src/embedded/index.ts";
import { diskOf, holdsImage } from "../support/cluster.ts";
import { bearer, curl, image, post, readyVolume, untilSucceeded, useUploadCluster } from "../support/upload-cluster.ts";

const on = useUploadCluster();

const secretNames = Object.values(signers as Record<string, Signer>).flatMap(({ secret, leaf }) =>
  leaf === undefined ? [secret] : [secret, leaf],
);
const secretOf = (name: string) => ({ kind: kinds.secret, namespace: cdiNamespace, name });

const certificates = (): Promise<(string | undefined)[]> =>
  Promise.all(
    secretNames.map(async (name) => {
      const secret = (await on().cluster.client.get(secretOf(name))) as KubeSecret | undefined;
      return secret?.data?.["tls.crt"];
    }),
  );

async function proxyBundle(): Promise<string> {
  const ref = { kind: kinds.configMap, namespace: cdiNamespace, name: signers.uploadProxy.bundle };
  return ((await on().cluster.client.get(ref)) as ConfigMap | undefined)?.data?.[bundleKey] ?? "";
}

test("all certificates are made again, and uploads go on", { timeout: 240_000 }, async () => {
  const upload = (token: string): Promise<string> =>
    curl(on(), "/v1beta1/upload", ...post(on(), "disk.qcow2"), ...bearer(token));
  const token = await readyVolume(on(), "before");
  const old = await certificates();
  expect(old).not.toContain(undefined);
  for (const name of secretNames) await on().cluster.client.delete(secretOf(name));

  const areNew = async (): Promise<boolean> =>
    (await certificates()).every((one, at) => one !== undefined && one !== old[at]);
  await expect.poll(areNew, { timeout: 150_000 }).toBe(true);
  // Whoever trusts only the old authority hears of it from the proxy's new certificate, in place with the next connection.
  await expect.poll(() => upload("none").catch(String), { timeout: 60_000 }).toContain("certificate");
  await writeFile(on().file("ca.pem"), await proxyBundle());
  expect(await upload("none")).toMatch(/^401/);

  expect(await upload(token)).toMatch(/^401/);
  await on().cluster.client.delete({ kind: kinds.pod, namespace: "default", name: "cdi-upload-before" });
  await expect.poll(() => upload(token), { timeout: 60_000 }).toBe("200");
  await untilSucceeded(on(), "before");
  expect(holdsImage((await diskOf(on().cluster, "before")) as Buffer, image)).toBe(true);
  const ca = await proxyBundle();
  const path = on().file("disk.img");
  await on().virtctl.upload({ style: "new", kind: "dv", name: "after", size: "32Mi", ca, path });
  await untilSucceeded(on(), "after");
  expect(holdsImage((await diskOf(on().cluster, "after")) as Buffer, image)).toBe(true);
});
