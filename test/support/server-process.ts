// An embedded cluster without controllers in a process of its own, for tests that kill the one or the other.
// Arguments: data folder, port. Prints the kubeconfig's path once it serves; lives until it is killed.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startEmbedded } from "../../src/embedded/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/lib/log.ts";

const [dir = "", port = "0"] = process.argv.slice(2);
const embedded = await startEmbedded({
  dir,
  appDir: join(import.meta.dirname, "..", ".."),
  port: Number(port),
  maxRunning: 2,
  // A killed importer comes back at once, so that a row takes seconds.
  backoff: { baseMs: 200, capMs: 1000 },
  withoutControllers: true,
  clock: systemClock,
  log: silentLog,
});
const kubeconfig = join(dir, "kubeconfig");
await writeFile(kubeconfig, embedded.kubeconfig, { mode: 0o600 });
process.stdout.write(`${embedded.url}\n`);
