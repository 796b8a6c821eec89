// The scale part of a custom resource: replicas as autoscaling/v1 shows them, read and written by the definition's paths.
import type { IncomingMessage } from "node:http";
import type { KubeObject } from "../../api/meta.ts";
import { copyJson } from "../../lib/copy-json.ts";
import { json, type Answer } from "./answers.ts";
import { mediaOf } from "./body.ts";
import { at, section } from "./builtins/fields.ts";
import { badRequest, invalid, methodNotAllowed } from "./errors.ts";
import { patched, patchKindOf } from "./patch/index.ts";
import { getObject } from "./read.ts";
import type { Resource } from "./resource.ts";
import { replaceObject } from "./write.ts";
import type { World, WriteContext } from "./world.ts";

/** Simple dotted paths, as definitions have to use. */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

const scales = { group: "autoscaling", kind: "Scale", plural: "scales" };
const words = (path: string): string[] => path.split(".").filter((word) => word !== "");

function scaleOf(paths: ScalePaths, object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelectorPath === undefined ? undefined : at(object, ...words(paths.labelSelectorPath));
  const metadata = { name, namespace, uid, resourceVersion, creationTimestamp };
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: copyJson(Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined))),
    spec: { replicas: at(object, ...words(paths.specReplicasPath)) ?? 0 },
    status: {
      replicas: at(object, ...words(paths.statusReplicasPath)) ?? 0,
      ...(typeof selector === "string" && selector !== "" ? { selector } : {}),
    },
  };
}

/** The object with the replicas of a changed scale. @throws ApiError 400, 422 */
function withReplicas(resource: Resource, paths: ScalePaths, old: KubeObject, scale: unknown): KubeObject {
  const replicas = at(scale, "spec", "replicas") ?? 0;
  if (typeof replicas !== "number" || !Number.isInteger(replicas)) throw badRequest("spec.replicas is no whole number");
  if (replicas < 0) {
    const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
    throw invalid(scales, old.metadata.name ?? "", [{ field: "spec.replicas", reason: "FieldValueInvalid", message }]);
  }
  const draft = copyJson(old);
  const path = words(paths.specReplicasPath);
  const last = path.pop() ?? "replicas";
  path.reduce<Record<string, unknown>>(section, draft)[last] = replicas;
  const seen = at(scale, "metadata", "resourceVersion");
  if (typeof seen === "string" && seen !== "") draft.metadata.resourceVersion = seen;
  return draft;
}

export interface ScaleCall {
  readonly world: World;
  readonly resource: Resource;
  readonly paths: ScalePaths;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly request: IncomingMessage;
  /** Reads the body, performs the change and answers with what it shows. */
  readonly write: (perform: (body: unknown, context: WriteContext) => Promise<KubeObject>) => Promise<Answer>;
}

/** @throws ApiError */
export async function serveScale(call: ScaleCall): Promise<Answer> {
  const { world, resource, paths, namespace, name, request, write } = call;
  const replaceBy = (change: (scale: KubeObject) => unknown) => async (context: WriteContext) => {
    const changed = (old: KubeObject): KubeObject => withReplicas(resource, paths, old, change(scaleOf(paths, old)));
    return scaleOf(paths, (await replaceObject(world, resource, namespace, name, changed, context)).value);
  };
  switch (request.method) {
    case "GET":
      return json(scaleOf(paths, getObject(world, resource, namespace, name).value));
    case "PUT":
      return write((body, context) => replaceBy(() => body)(context));
    case "PATCH": {
      const kind = patchKindOf(resource, mediaOf(request));
      return write((body, context) => replaceBy((scale) => patched(scale, kind, body))(context));
    }
    default:
      throw methodNotAllowed();
  }
}
