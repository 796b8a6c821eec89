// The suite, run on every server at hand.
import { clientNodeClient } from "../../src/kube/index.ts";
import { startTestServer } from "../support/embedded-server.ts";
import { clientMustBehave } from "./kube-client-suite.ts";

clientMustBehave("embedded, in process", async () => {
  const server = await startTestServer();
  return { client: server.client, close: () => server.close() };
});

clientMustBehave("embedded, over HTTPS", async () => {
  const server = await startTestServer();
  const client = clientNodeClient({ kubeconfig: server.kubeconfigFile });
  return {
    client,
    async close() {
      client.close();
      await server.close();
    },
  };
});

const cluster = process.env["CDI_TEST_KUBECONFIG"];
if (cluster) {
  clientMustBehave("the cluster of CDI_TEST_KUBECONFIG", async () => {
    const client = clientNodeClient({ kubeconfig: cluster });
    return { client, close: async () => client.close() };
  });
}
