// What leads to the programs that serve in this process: Services with endpoints of their own, and the registration of the upload
// token API, as an installation on a cluster has them.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { apiServiceName, services } from "../../contract/install-names.ts";
import type { KubeClient } from "../../kube/index.ts";
import { put } from "../put.ts";

/** Without a selector: where it leads stands in its endpoints. */
const serviceOf = (namespace: string, name: string, port: number): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace, name },
  spec: { ports: [{ name: "https", port: 443, targetPort: port, protocol: "TCP" }] },
});

const endpointsOf = (namespace: string, name: string, ip: string, port: number): KubeObject => ({
  apiVersion: "v1",
  kind: "Endpoints",
  metadata: { namespace, name },
  subsets: [{ addresses: [{ ip }], ports: [{ name: "https", port, protocol: "TCP" }] }],
});

const registration = (namespace: string): KubeObject => {
  const [group = "", version = ""] = kinds.uploadTokenRequest.apiVersion.split("/");
  return {
    apiVersion: kinds.apiService.apiVersion,
    kind: kinds.apiService.kind,
    metadata: { name: apiServiceName },
    spec: {
      group,
      version,
      groupPriorityMinimum: 1000,
      versionPriority: 15,
      service: { namespace, name: services.api, port: 443 },
    },
  };
};

/** Makes a Service lead to one address of this machine. */
export async function lead(client: KubeClient, namespace: string, name: string, ip: string, port: number) {
  const service = serviceOf(namespace, name, port);
  await put(client, kinds.service, service, { spec: service["spec"] });
  const endpoints = endpointsOf(namespace, name, ip, port);
  await put(client, kinds.endpoints, endpoints, { subsets: endpoints["subsets"] });
}

/** The bundle in it is the controllers' to write. */
export async function register(client: KubeClient, namespace: string): Promise<void> {
  const object = registration(namespace);
  await put(client, kinds.apiService, object, { spec: object["spec"] });
}
