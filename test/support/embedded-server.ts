// A server of embedded mode for tests: in memory, on any port, gone with the test.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer, type EmbeddedServer, type ServerOptions } from "../../src/embedded/server/index.ts";
import { openStore } from "../../src/embedded/store/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/lib/log.ts";

export interface TestServer extends EmbeddedServer {
  /** Holds the kubeconfig, and whatever the test puts there. */
  readonly dir: string;
  readonly kubeconfigFile: string;
}

export async function startTestServer(
  options: Partial<ServerOptions> & { storeDir?: string } = {},
): Promise<TestServer> {
  const { storeDir, ...rest } = options;
  const dir = rest.dir ?? (await mkdtemp(join(tmpdir(), "cdi-server-")));
  const store = rest.store ?? (await openStore(storeDir === undefined ? {} : { dir: storeDir }));
  const leave = async (): Promise<void> => {
    if (!rest.store) await store.close();
    if (rest.dir === undefined) await rm(dir, { recursive: true });
  };
  const complete = { clock: systemClock, log: silentLog, ...rest, store, dir };
  const server = await startServer(complete).catch(async (cause: unknown) => {
    await leave();
    throw cause;
  });
  const kubeconfigFile = join(dir, "kubeconfig");
  await writeFile(kubeconfigFile, server.kubeconfig(), { mode: 0o600 });
  return {
    ...server,
    dir,
    kubeconfigFile,
    async close() {
      await server.close();
      await leave();
    },
  };
}
