// A container whose image cannot be had: what it waits for, for how long, and in which words, on a clock of the test's own.
import { expect, test } from "vitest";
import { PullFailed, type HeldImage, type Holder, type ImageWanted } from "../../../../src/embedded/images/index.ts";
import { imageOf } from "../../../../src/embedded/pods/container-image.ts";
import type { ContainerWorld } from "../../../../src/embedded/pods/container-world.ts";
import type { Container, ContainerState, Pod } from "../../../../src/embedded/pods/pod-types.ts";
import type { ContainerFacts } from "../../../../src/embedded/pods/status.ts";
import { kubeletBackoff } from "../../../../src/lib/backoff.ts";

const image: HeldImage = {
  root: "/images/1/root",
  id: "host/repo@sha256:1",
  sizeBytes: 5,
  config: { entrypoint: [], command: [], env: [], workingDir: "", user: "" },
};

/** Runs `imageOf` against a store that fails so often; each sleep takes no time and is noted. */
async function waitFor(
  failures: readonly PullFailed[],
  container: Partial<Container> = {},
  spec: object = {},
  state: ContainerState = { waiting: { reason: "PodInitializing" } },
) {
  const slept: number[] = [];
  const seen: ContainerState[] = [];
  const told: string[] = [];
  const asked: ImageWanted[] = [];
  const left = [...failures];
  let now = 0;
  let rests = 0;
  const facts: ContainerFacts = {
    container: { name: "server", image: "host/repo:1", ...container },
    restartCount: 0,
    state,
    lastState: {},
  };
  const pod = {
    metadata: { name: "p", namespace: "ns", uid: "u" },
    spec: { containers: [], ...spec },
  } as unknown as Pod;
  const secrets: Record<string, object> = {
    pull: { kind: "Secret", data: { ".dockerconfigjson": Buffer.from('{"auths":{"a":{}}}').toString("base64") } },
    old: { kind: "Secret", data: { ".dockercfg": Buffer.from('{"b":{}}').toString("base64") } },
    other: { kind: "Secret", data: { token: "eA==" } },
  };
  const about = {
    uid: "u",
    signal: new AbortController().signal,
    pod: () => pod,
    rest: () => (rests += 1),
    publish: () => Promise.resolve(void seen.push(facts.state)),
    world: {
      images: { "cdi-importer:embedded": ["node", "importer.js"] },
      volumes: { road: "device" },
      backoff: kubeletBackoff,
      secrets: { get: ({ name }: { name: string }) => secrets[name] },
      teller: {
        tell: (_: object, { type, reason, message }: Record<"type" | "reason" | "message", string>) =>
          told.push(`${type} ${reason}: ${message}`),
      },
      clock: {
        now: () => now,
        sleep(ms: number) {
          slept.push(ms);
          now += ms;
          return Promise.resolve();
        },
      },
      pulled: {
        hold(wanted: ImageWanted, { onPull }: Holder) {
          asked.push(wanted);
          onPull();
          const failure = left.shift();
          return failure ? Promise.reject(failure) : Promise.resolve({ image, isFresh: true });
        },
      },
    },
  } as unknown as ContainerWorld;
  const found = await imageOf(about, facts);
  return {
    found,
    facts,
    slept,
    seen: seen.map(({ waiting }) => `${waiting?.reason}: ${waiting?.message}`),
    told,
    asked,
    rests,
  };
}

const gone = new PullFailed("ErrImagePull", "not there");

test("a pull that fails is tried again after the kubelet's times, and each try is told", async () => {
  const { found, facts, slept, seen, told, rests } = await waitFor(Array.from({ length: 7 }, () => gone));
  expect(found).toBe(image);
  expect(facts.imageId).toBe(image.id);
  // Each time others go first.
  expect(rests).toBe(7);
  expect(slept.map((ms) => ms / 1000)).toEqual([10, 20, 40, 80, 160, 300, 300]);
  expect(seen.slice(0, 2)).toEqual([
    "ErrImagePull: not there",
    'ImagePullBackOff: Back-off pulling image "host/repo:1": ErrImagePull: not there',
  ]);
  expect(told.slice(0, 5)).toEqual([
    'Normal Pulling: Pulling image "host/repo:1"',
    'Warning Failed: Failed to pull image "host/repo:1": not there',
    "Warning Failed: Error: ErrImagePull",
    'Normal BackOff: Back-off pulling image "host/repo:1"',
    "Warning Failed: Error: ImagePullBackOff",
  ]);
  expect(told.at(-1)).toBe(
    'Normal Pulled: Successfully pulled image "host/repo:1" in 0s (0s including waiting). Image size: 5 bytes.',
  );
});

test.each([
  { reason: "InvalidImageName", event: "Warning InspectFailed: words" },
  { reason: "ErrImageNeverPull", event: "Warning ErrImageNeverPull: words" },
] as const)("$reason stays what it is between tries", async ({ reason, event }) => {
  const { seen, told } = await waitFor([new PullFailed(reason, "words"), new PullFailed(reason, "words")]);
  expect(seen).toEqual([`${reason}: words`, `${reason}: words`]);
  expect(told.slice(1, 3)).toEqual([event, `Warning Failed: Error: ${reason}`]);
});

test("how it ended before stays in sight while its image is pulled again", async () => {
  const terminated = { exitCode: 3, reason: "Error", finishedAt: "2026-01-01T12:00:00Z" };
  const { facts } = await waitFor([gone], {}, {}, { terminated });
  expect(facts.lastState).toEqual({ terminated });
});

test.each<{ when: string; container: Partial<Container>; policy: string }>([
  { when: "Always is said", container: { imagePullPolicy: "Always" }, policy: "Always" },
  { when: "Never is said", container: { imagePullPolicy: "Never" }, policy: "Never" },
  { when: "there is a tag", container: { image: "host:5000/repo:1" }, policy: "IfNotPresent" },
  { when: "there is a digest", container: { image: `host/repo@sha256:${"0".repeat(64)}` }, policy: "IfNotPresent" },
  { when: "the tag is latest", container: { image: "host:5000/repo:latest" }, policy: "Always" },
  { when: "there is no tag", container: { image: "host:5000/repo" }, policy: "Always" },
  { when: "it is a short name", container: { image: "repo" }, policy: "Always" },
])("the policy, when $when: $policy", async ({ container, policy }) => {
  expect((await waitFor([], container)).asked[0]?.policy).toBe(policy);
});

test("architecture and credentials are the pod's", async () => {
  const spec = {
    nodeSelector: { "kubernetes.io/arch": "arm64" },
    imagePullSecrets: [{ name: "pull" }, { name: "missing" }, { name: "other" }, { name: "old" }],
  };
  const { asked } = await waitFor([], {}, spec);
  expect(asked[0]).toMatchObject({
    architecture: "arm64",
    auths: ['{"auths":{"a":{}}}', '{"auths":{"b":{}}}'],
  });
});

test("one of the node's own is there, and nobody is asked", async () => {
  const { found, asked, told } = await waitFor([gone], { image: "cdi-importer:embedded" });
  expect({ found, asked, told }).toEqual({
    found: undefined,
    asked: [],
    told: ['Normal Pulled: Container image "cdi-importer:embedded" already present on machine'],
  });
});
