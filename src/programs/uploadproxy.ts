// Program: the upload proxy. In a cluster with its service account, outside with KUBECONFIG; until SIGTERM.
import { putOffWholeCollections } from "../lib/collect-young.ts";
import { keepYoungSmall } from "../lib/small-young.ts";
import { runControlProgram } from "./control-program.ts";

keepYoungSmall();
putOffWholeCollections(100);
await runControlProgram("cdi-uploadproxy", async (around) => {
  // Loaded late: what it brings along must not make the young space grow.
  const { serveUploadProxy } = await import("./serve-upload-proxy.ts");
  await serveUploadProxy(around);
});
