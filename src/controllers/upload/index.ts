// The pod side of an upload, keyed by claim: makes server pod, Service and certificate, mirrors the pod on the claim. Works for
// a claim of a DataVolume and for a bare claim that is marked as a target alike.
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import { keyOf, type Key } from "../../api/meta.ts";
import { uploadServiceName } from "../../contract/names.ts";
import type { Controller, Plan, Step } from "../../kube/index.ts";
import { seconds } from "../../lib/duration.ts";
import type { ControllerOptions } from "../options.ts";
import { claimOfEvent, claimsOfPod, scratchTargetOf } from "../parts/claim-keys.ts";
import { decideRefused } from "../parts/refused.ts";
import { controllerOf, unboundClaims, type World } from "../world.ts";
import { issueServerIdentity } from "./certificate.ts";
import { isUploadTarget } from "./claim-facts.ts";
import { decideUpload } from "./decide.ts";
import { certificateSecretFor } from "./objects.ts";
import { isWaiting, observeUpload, type UploadFacts } from "./observe.ts";

export function uploadController(world: World, options: ControllerOptions): Controller {
  return {
    name: "upload",
    watches: [
      { cache: world.claims, toKeys: (claim) => [keyOf(claim), ...scratchTargetOf(world, claim)] },
      { cache: world.pods, toKeys: claimsOfPod },
      { cache: world.uploadServices, toKeys: ownerKey },
      { cache: world.claimEvents, toKeys: claimOfEvent },
      {
        cache: world.dataVolumes,
        toKeys: (one) => ((one as DataVolume).status?.phase === "Succeeded" ? [keyOf(one)] : []),
      },
      // The gate HonorWaitForFirstConsumer decides whether a claim is waited for.
      { cache: world.cdiConfigs, toKeys: () => unboundClaims(world) },
    ],
    async reconcile(key) {
      const seen = await observeUpload(world, key);
      const plan = decideUpload(seen, options, world.clock.now());
      return seen && isUploadTarget(seen.claim) ? withCertificate(world, seen, plan, options) : plan;
    },
    refused(key, refused) {
      const claim = world.claims.get(key);
      return claim && decideRefused(claim as UploadFacts["claim"], refused);
    },
  };
}

function ownerKey(object: Parameters<typeof controllerOf>[0]): Key[] {
  const owner = controllerOf(object);
  const { namespace } = object.metadata;
  return owner ? [{ name: owner.name, ...(namespace === undefined ? {} : { namespace }) }] : [];
}

const soonMs = seconds(1);

/** A waiting pod gets its secret, once that of an earlier pod, which went with it, is collected. */
async function withCertificate(
  world: World,
  { claim, pod, secret }: UploadFacts,
  plan: Plan,
  options: ControllerOptions,
): Promise<Plan> {
  const isGoing = plan.steps.some((step) => step.do === "delete" && step.ref.kind.kind === "Pod");
  if (!isWaiting(pod) || isGoing) return plan;
  const isThisPods = secret?.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid) ?? false;
  if (isThisPods) return plan;
  if (secret) return { ...plan, lookAgainInMs: soonMs };
  const service = { name: uploadServiceName(claim.metadata.name ?? ""), namespace: claim.metadata.namespace ?? "" };
  const identity = await issueServerIdentity(world.client, options.cdiNamespace, service, world.clock.now());
  if (!identity) return { ...plan, lookAgainInMs: soonMs };
  const create: Step = { do: "create", kind: kinds.secret, object: certificateSecretFor(pod, identity, options) };
  return { ...plan, steps: [...plan.steps, create] };
}
