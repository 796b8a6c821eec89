// The API in general, row by row: against embedded always, and unchanged against the cluster of CDI_TEST_KUBECONFIG.
import { afterAll, beforeAll, describe } from "vitest";
import { startTestServer } from "../support/embedded-server.ts";
import { accessRows } from "./api/access-rows.ts";
import { applyRows } from "./api/apply-rows.ts";
import { openApi, type Api } from "./api/cluster.ts";
import { createRows } from "./api/create-rows.ts";
import { definitionRows, partRows, schemaRows } from "./api/custom-rows.ts";
import { deleteRows } from "./api/delete-rows.ts";
import { discoveryRows } from "./api/discovery-rows.ts";
import { flowsMustHold } from "./api/flow.ts";
import { kubectlMustWork } from "./api/kubectl-rows.ts";
import { definitions, namespaces, owners, roles } from "./api/life-flows.ts";
import { listRows } from "./api/list-rows.ts";
import { patchRows } from "./api/patch-rows.ts";
import { cleanUp, prepare } from "./api/place.ts";
import { pages, watches } from "./api/read-flows.ts";
import { rowsMustHold } from "./api/rows.ts";
import { readRows, updateRows } from "./api/write-rows.ts";

const families = {
  create: createRows,
  read: readRows,
  update: updateRows,
  patch: patchRows,
  apply: applyRows,
  list: listRows,
  delete: deleteRows,
  "custom resources: schema": schemaRows,
  "custom resources: parts and versions": partRows,
  definitions: definitionRows,
  discovery: discoveryRows,
  access: accessRows,
};

const flows = { pages, watches, owners, namespaces, definitions, roles };

function apiMustBehave(name: string, open: () => Promise<{ kubeconfigFile: string; close(): Promise<void> }>): void {
  describe(name, () => {
    let api: Api;
    let close: () => Promise<void>;
    let kubeconfigFile: string;
    beforeAll(async () => {
      const opened = await open();
      close = () => opened.close();
      kubeconfigFile = opened.kubeconfigFile;
      api = await openApi(opened.kubeconfigFile);
      await prepare(api);
    }, 120_000);
    afterAll(async () => {
      await cleanUp(api);
      api.close();
      await close();
    }, 180_000);
    for (const [family, rows] of Object.entries(families)) describe(family, () => rowsMustHold(() => api, rows));
    for (const [family, rows] of Object.entries(flows)) describe(family, () => flowsMustHold(() => api, rows));
    describe("kubectl", () => kubectlMustWork(() => kubeconfigFile));
  });
}

apiMustBehave("embedded", startTestServer);

const cluster = process.env["CDI_TEST_KUBECONFIG"];
if (cluster) {
  apiMustBehave("the cluster of CDI_TEST_KUBECONFIG", async () => ({
    kubeconfigFile: cluster,
    close: async () => undefined,
  }));
}
