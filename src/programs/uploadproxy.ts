// Program: the upload proxy. In a cluster with its service account, outside with KUBECONFIG; until SIGTERM.
import { keepYoungSmall } from "../lib/small-young.ts";
import { runControlProgram } from "./control-program.ts";

keepYoungSmall();
await runControlProgram("cdi-uploadproxy", async (around) => {
  // Loaded late: what it brings along must not make the young space grow.
  const { serveUploadProxy } = await import("./serve-upload-proxy.ts");
  await serveUploadProxy(around);
});
