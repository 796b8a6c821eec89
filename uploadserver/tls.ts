// The server's certificate, its key and who signs its clients: files for a current controller, texts for one of v1.56.
import { readFile } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";
import { tlsOptionsOf } from "../src/contract/tls-profile.ts";
import { Fault } from "../src/lib/faults.ts";
import type { Settings } from "./settings.ts";

/** @throws Fault ConfigInvalid naming what cannot be read */
export async function serverTls({ config, at }: Settings): Promise<SecureContextOptions> {
  const part = async (name: string, path: string | undefined, text: string | undefined): Promise<string> => {
    if (path === undefined) {
      if (text) return text;
      throw new Fault("ConfigInvalid", `${name} and ${name}_FILE are both empty: uploads are served over TLS only`);
    }
    return await readFile(at(path), "utf8").catch((cause: unknown) => {
      throw new Fault("ConfigInvalid", `${name}_FILE cannot be read: ${(cause as Error).message}`, { cause });
    });
  };
  const [key, cert, ca] = await Promise.all([
    part("TLS_KEY", config.tlsKeyFile, config.tlsKey),
    part("TLS_CERT", config.tlsCertFile, config.tlsCert),
    part("CLIENT_CERT", config.clientCertFile, config.clientCert),
  ]);
  const ciphers = config.tlsCiphers.split(",").filter((name) => name !== "");
  return { ...tlsOptionsOf({ ciphers, minVersion: config.tlsMinVersion }), key, cert, ca };
}
