// A kubelet played by hand: the tests bind claims and set pod states, the controllers under test do the rest.
import { onTestFinished } from "vitest";
import { crdOf } from "../../../src/api/crd.ts";
import { declaredKinds } from "../../../src/api/declared-kinds.ts";
import type { ContainerState, PodPhase } from "../../../src/api/core.ts";
import type { DataVolume } from "../../../src/api/data-volume.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../../src/api/meta.ts";
import { startControllers, type Controllers } from "../../../src/controllers/index.ts";
import { clientNodeClient, type KubeClient } from "../../../src/kube/index.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { startTestServer } from "../../support/embedded-server.ts";
import { aConfig, aDefaultClass, aProfile } from "../../support/objects.ts";

export interface Played {
  client: KubeClient;
  controllers: Controllers;
  /** Every status the DataVolume had, repeats left out. */
  history(name: string): DataVolume[];
  /** Waits until the object is as wanted. */
  until<T extends KubeObject>(kind: KindRef, name: string, wanted: (object: T) => boolean): Promise<T>;
  untilGone(kind: KindRef, name: string): Promise<void>;
  bind(name: string): Promise<void>;
  setPod(
    name: string,
    phase: PodPhase,
    state: ContainerState,
    more?: { restarts?: number; lastState?: ContainerState },
  ): Promise<void>;
  /** "Type Reason Message" of the events about an object, oldest first. */
  events(kind: string, name: string): string[];
}

const namespace = "default";

/** A server with one default class, its controllers over HTTPS, and hands to play the node with. */
export async function play(options: { withoutAdditions?: boolean } = {}): Promise<Played> {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  const { client } = server;
  for (const declared of declaredKinds) {
    const crd = structuredClone(crdOf(declared));
    if (options.withoutAdditions && declared.ref.kind === "DataVolume") dropAdditions(crd);
    await client.create(crd, kinds.crd);
  }
  await client.create(aDefaultClass(), kinds.storageClass);
  const profile = aProfile("local", [{ accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem" }]);
  await client.create(profile, kinds.storageProfile);
  await client.patch(
    { kind: kinds.storageProfile, name: "local" },
    { status: profile.status },
    { type: "merge", subresource: "status" },
  );
  await client.create(aConfig(), kinds.cdiConfig);
  const seen = new Map<string, DataVolume[]>();
  const stop = new AbortController();
  const told: KubeObject[] = [];
  const watching = Promise.all([record(client, seen, stop.signal), listen(client, told, stop.signal)]);
  const wire = clientNodeClient({ text: server.kubeconfig() });
  const controllers = await startControllers({
    client: wire,
    clock: systemClock,
    log: silentLog,
    options: { cdiNamespace: "cdi", importerImage: "importer:test", pullPolicy: "IfNotPresent", verbosity: 1 },
    signal: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await controllers.close();
    wire.close();
    await watching;
  });
  return { client, controllers, ...handsOn(client, seen, told) };
}

function dropAdditions(crd: KubeObject): void {
  const { versions } = crd.spec as {
    versions: { schema: { openAPIV3Schema: { properties: { status: { properties: Record<string, unknown> } } } } }[];
  };
  for (const { schema } of versions) {
    delete schema.openAPIV3Schema.properties.status.properties.transfer;
    delete schema.openAPIV3Schema.properties.status.properties.observedGeneration;
  }
}

async function record(client: KubeClient, seen: Map<string, DataVolume[]>, signal: AbortSignal): Promise<void> {
  const { resourceVersion } = await client.list(kinds.dataVolume);
  for await (const { type, object } of client.watch(kinds.dataVolume, { resourceVersion, signal })) {
    if (type === "BOOKMARK" || type === "DELETED") continue;
    const name = object.metadata.name ?? "";
    seen.set(name, [...(seen.get(name) ?? []), object as DataVolume]);
  }
}

/** Events in the order they were made; a later count does not move one. */
async function listen(client: KubeClient, told: KubeObject[], signal: AbortSignal): Promise<void> {
  const { resourceVersion } = await client.list(kinds.event);
  for await (const { type, object } of client.watch(kinds.event, { resourceVersion, signal })) {
    if (type === "ADDED") told.push(object);
  }
}

const waitMs = 10_000;

function handsOn(
  client: KubeClient,
  seen: Map<string, DataVolume[]>,
  told: readonly KubeObject[],
): Omit<Played, "client" | "controllers"> {
  async function untilTrue(what: string, test: () => Promise<boolean>): Promise<void> {
    const endMs = Date.now() + waitMs;
    while (!(await test())) {
      if (Date.now() > endMs) throw new Error(`waited ${waitMs} ms for ${what}`);
      await systemClock.sleep(10);
    }
  }
  return {
    history: (name) => seen.get(name) ?? [],
    async until<T extends KubeObject>(kind: KindRef, name: string, wanted: (object: T) => boolean): Promise<T> {
      let found: KubeObject | undefined;
      await untilTrue(`${kind.kind} ${name}`, async () => {
        found = await client.get({ kind, namespace, name });
        return found !== undefined && wanted(found as T);
      });
      return found as T;
    },
    untilGone: (kind, name) =>
      untilTrue(`${kind.kind} ${name} gone`, async () => !(await client.get({ kind, namespace, name }))),
    async bind(name) {
      await client.patch(
        { kind: kinds.claim, namespace, name },
        { status: { phase: "Bound" } },
        { type: "merge", subresource: "status" },
      );
    },
    async setPod(name, phase, state, { restarts = 0, lastState = {} } = {}) {
      const container = {
        name: "importer",
        ready: state.running !== undefined,
        restartCount: restarts,
        image: "",
        imageID: "",
        state,
        lastState,
      };
      const status = { phase, containerStatuses: [container] };
      await client.patch({ kind: kinds.pod, namespace, name }, { status }, { type: "merge", subresource: "status" });
    },
    events(kind, name) {
      const about = told.filter((item) => {
        const object = item.involvedObject as { kind?: string; name?: string };
        return object.kind === kind && object.name === name;
      });
      return about.map(({ type, reason, message }) => `${String(type)} ${String(reason)} ${String(message)}`);
    },
  };
}
