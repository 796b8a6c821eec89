import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { FaultCode } from "../../../src/lib/faults.ts";
import { attemptsAllowed, attemptsSpent } from "../../../src/controllers/parts/attempts.ts";
import { defaultClassOf } from "../../../src/controllers/parts/default-class.ts";
import { exitsOf, faultOfExit, simplified } from "../../../src/controllers/parts/fault-of-pod.ts";
import { fnv1a32, nameFor } from "../../../src/contract/names.ts";
import { importerPodName, scratchClaimName } from "../../../src/controllers/parts/names.ts";
import { overheadOf, requiredBytes, usableBytes } from "../../../src/controllers/parts/overhead.ts";
import { isUnschedulable, runningOf } from "../../../src/controllers/parts/running-condition.ts";
import { hasDelivered, readMetrics } from "../../../src/controllers/parts/scrape.ts";
import {
  aConfig,
  aDefaultClass,
  aPod,
  aStorageClass,
  crashLoop,
  isRunning,
  terminated,
} from "../../support/objects.ts";

describe("names", () => {
  test.each([
    { text: "", hash: "811c9dc5" },
    { text: "a", hash: "e40c292c" },
    { text: "foobar", hash: "bf9cf968" },
  ])("FNV-1a of $text", ({ text, hash }) => expect(fnv1a32(text)).toBe(hash));

  test("a short name is base and suffix", () => {
    expect(importerPodName("disk")).toBe("importer-disk");
    expect(scratchClaimName("disk")).toBe("disk-scratch");
  });
  test("a long base is cut and hashed, and fits exactly", () => {
    const base = "b".repeat(253);
    const name = nameFor(base, "scratch");
    expect(name).toHaveLength(253);
    expect(name).toBe(`${"b".repeat(236)}-${fnv1a32(base)}-scratch`);
  });
  test("a suffix that leaves no room is hashed with the base", () => {
    const suffix = "s".repeat(250);
    expect(nameFor("importer", suffix)).toBe(`importer-${fnv1a32(`importer-${suffix}`)}`);
  });
});

describe("file system overhead", () => {
  const mib = 2 ** 20;
  test.each([
    { bytes: 5 * 2 ** 30, required: 5_690_831_668, usable: 4830 * mib },
    { bytes: 1, required: 1_111_491, usable: 0 },
    { bytes: 100 * mib + 1, required: Math.ceil(101 * mib * 1.06), usable: 94 * mib },
  ])("$bytes bytes at 0.06", ({ bytes, required, usable }) => {
    expect(requiredBytes(bytes, 0.06)).toBe(required);
    expect(usableBytes(bytes, 0.06)).toBe(usable);
  });
  test("what is required for a size leaves at least that size usable", () => {
    for (const bytes of [mib, 7 * mib, 2 ** 30, 5 * 2 ** 30])
      expect(usableBytes(requiredBytes(bytes, 0.06), 0.06)).toBeGreaterThanOrEqual(bytes);
  });

  const config = aConfig({ status: { filesystemOverhead: { global: "0.1", storageClass: { local: "0.2" } } } });
  const classes = [
    aDefaultClass("local"),
    aStorageClass("virt", { annotations: { [annotations.defaultVirtClass]: "true" } }),
    aStorageClass("other"),
  ];
  test.each([
    { when: "block", className: "local", volumeMode: "Block", is: "0" },
    { when: "empty class", className: "", volumeMode: "Filesystem", is: "0" },
    { when: "named class with its own", className: "local", volumeMode: "Filesystem", is: "0.2" },
    { when: "named class without", className: "other", volumeMode: "Filesystem", is: "0.1" },
    {
      when: "no class: the Kubernetes default, not the virt one",
      className: undefined,
      volumeMode: undefined,
      is: "0.2",
    },
    { when: "unknown class: the default", className: "gone", volumeMode: undefined, is: "0.2" },
  ])("$when", ({ className, volumeMode, is }) =>
    expect(overheadOf({ className, volumeMode, config, classes })).toBe(is),
  );
  test("no CDIConfig: none", () => {
    expect(overheadOf({ className: "local", volumeMode: undefined, config: undefined, classes })).toBe("0");
  });
});

describe("default class", () => {
  const virt = { [annotations.defaultVirtClass]: "true" };
  const plain = { [annotations.defaultClass]: "true" };
  test.each([
    {
      when: "virt before Kubernetes",
      classes: [aStorageClass("k", { annotations: plain }), aStorageClass("v", { annotations: virt })],
      purpose: "virt",
      is: "v",
    },
    {
      when: "virt is not asked for archives",
      classes: [aStorageClass("k", { annotations: plain }), aStorageClass("v", { annotations: virt })],
      purpose: "kubernetes",
      is: "k",
    },
    {
      when: "the newest",
      classes: [
        aStorageClass("old", { annotations: plain, created: "2025-01-01T00:00:00Z" }),
        aStorageClass("new", { annotations: plain, created: "2026-01-01T00:00:00Z" }),
      ],
      purpose: "virt",
      is: "new",
    },
    {
      when: "of equal age the first name",
      classes: [aStorageClass("b", { annotations: plain }), aStorageClass("a", { annotations: plain })],
      purpose: "virt",
      is: "a",
    },
    { when: "none", classes: [aStorageClass("b")], purpose: "virt", is: undefined },
  ] as const)("$when", ({ classes, purpose, is }) => expect(defaultClassOf(classes, purpose)?.metadata.name).toBe(is));
});

describe("attempts", () => {
  test.each([
    { code: "ChecksumMismatch", delivered: true, forever: true, allowed: 1 },
    { code: "TargetTooSmall", delivered: false, forever: false, allowed: 2 },
    { code: "TargetTooSmall", delivered: true, forever: false, allowed: 2 },
    { code: "SourceNotFound", delivered: false, forever: false, allowed: 5 },
    { code: "SourceNotFound", delivered: true, forever: false, allowed: Infinity },
    { code: "UnknownAuthority", delivered: true, forever: false, allowed: 5 },
    { code: "SourceNotFound", delivered: false, forever: true, allowed: Infinity },
    { code: "ConnectionFailed", delivered: false, forever: false, allowed: Infinity },
    { code: "Unclassified", delivered: false, forever: false, allowed: Infinity },
  ] as const)("$code, delivered $delivered, forever $forever: $allowed", ({ allowed, ...facts }) => {
    expect(attemptsAllowed(facts)).toBe(allowed);
    expect(attemptsSpent({ ...facts, exits: 5 })).toBe(allowed <= 5);
  });
  test.each([
    { when: "no container yet", pod: aPod(), exits: 0 },
    { when: "first run", pod: aPod({ state: isRunning }), exits: 0 },
    { when: "first exit", pod: aPod({ state: terminated(77, "x") }), exits: 1 },
    { when: "first exit, backing off", pod: aPod({ state: crashLoop, lastState: terminated(77, "x") }), exits: 1 },
    { when: "second run", pod: aPod({ state: isRunning, lastState: terminated(77, "x"), restarts: 1 }), exits: 1 },
    { when: "fifth exit", pod: aPod({ state: terminated(77, "x"), restarts: 4 }), exits: 5 },
  ])("$when: $exits exits", ({ pod, exits }) => expect(exitsOf(pod)).toBe(exits));
});

describe("fault of an exit", () => {
  const rows: { exit: number; text: string; code: FaultCode }[] = [
    { exit: 77, text: "anything", code: "SourceNotFound" },
    {
      exit: 1,
      text: "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found",
      code: "SourceNotFound",
    },
    { exit: 1, text: "expected status code 200, got 503. Status: 503", code: "SourceBusy" },
    { exit: 1, text: 'Get "https://a": x509: certificate signed by unknown authority', code: "UnknownAuthority" },
    {
      exit: 1,
      text: "Virtual image size 4 is larger than the reported available storage 2. A larger PVC is required.",
      code: "TargetTooSmall",
    },
    { exit: 1, text: "write: no space left on device", code: "TargetFull" },
    { exit: 1, text: "dial tcp: lookup a: no such host", code: "HostUnknown" },
    { exit: 1, text: "something new", code: "Unclassified" },
    { exit: 137, text: "", code: "Unclassified" },
    {
      exit: 0,
      text: '{"message":"checksum validation failed: checksum mismatch: expected a, calculated b"}',
      code: "ChecksumMismatch",
    },
  ];
  test.each(rows)("exit $exit $text", ({ exit, text, code }) =>
    expect(faultOfExit({ exitCode: exit, message: text })).toBe(code),
  );

  test("every way of being too small is one sentence", () => {
    for (const text of [
      "no space left on device",
      "file largest block is bigger than maxblock",
      "disk quota exceeded",
      "is larger than the reported available",
    ]) {
      expect(simplified(`Unable to process data: ${text}`)).toBe("DataVolume too small to contain image");
    }
    expect(simplified("other")).toBe("other");
  });
});

describe("running annotations", () => {
  test.each([
    { when: "nothing known", pod: aPod(), is: undefined },
    {
      when: "creating",
      pod: aPod({ state: { waiting: { reason: "ContainerCreating" } } }),
      is: { running: false, message: "", reason: "ContainerCreating" },
    },
    { when: "running", pod: aPod({ state: isRunning }), is: { running: true, message: "", reason: "Pod is running" } },
    {
      when: "image cannot be pulled",
      pod: aPod({ state: { waiting: { reason: "ErrImagePull", message: "x" } } }),
      is: { running: false, message: "failed to pull image: importer:test", reason: "ImagePullFailed" },
    },
    {
      when: "failed",
      pod: aPod({ state: terminated(1, "boom") }),
      is: { running: false, message: "boom", reason: "Error" },
    },
    {
      when: "failed to pull",
      pod: aPod({ state: terminated(1, "failed to pull image: cut") }),
      is: { running: false, message: "failed to pull image: cut", reason: "ImagePullFailed" },
    },
    {
      when: "backing off keeps what the exit said",
      pod: aPod({ state: crashLoop, lastState: terminated(1, "boom") }),
      is: { running: false, message: "boom", reason: "Error" },
    },
    {
      when: "scratch wanted",
      pod: aPod({ state: terminated(0, '{"scratchSpaceRequired":true,"message":"Import Complete"}') }),
      is: { running: false, message: "scratch space required and none found", reason: "Scratch space required" },
    },
    {
      when: "scratch wanted by v1.56",
      pod: aPod({ state: terminated(42, "scratch space required and none found") }),
      is: { running: false, message: "scratch space required and none found", reason: "Scratch space required" },
    },
    {
      when: "done",
      pod: aPod({ state: terminated(0, '{"message":"Import Complete"}') }),
      is: { running: false, message: "Import Complete", reason: "Completed" },
    },
    {
      when: "done by v1.56",
      pod: aPod({ state: terminated(0, "Import Complete") }),
      is: { running: false, message: "Import Complete", reason: "Completed" },
    },
    {
      when: "JSON counts at exit 0 only",
      pod: aPod({ state: terminated(1, '{"scratchSpaceRequired":true}') }),
      is: { running: false, message: '{"scratchSpaceRequired":true}', reason: "Error" },
    },
  ])("$when", ({ pod, is }) => expect(runningOf(pod)).toEqual(is));

  test("unschedulable is what the scheduler said", () => {
    const condition = { type: "PodScheduled", status: "False", reason: "Unschedulable" };
    expect(isUnschedulable(aPod({ conditions: [condition] }))).toBe(true);
    expect(isUnschedulable(aPod({ conditions: [{ ...condition, status: "True" }] }))).toBe(false);
  });
});

describe("scraped metrics", () => {
  const current = [
    "# HELP kubevirt_cdi_import_progress_total x",
    'kubevirt_cdi_import_progress_total{ownerUID="u1"} 27.154',
    'kubevirt_cdi_import_progress_total{ownerUID="u2"} 99',
    'kubevirt_cdi_transfer_bytes_done{ownerUID="u1"} 1048576',
    'kubevirt_cdi_transfer_bytes_total{ownerUID="u1"} 4194304',
    'kubevirt_cdi_transfer_bytes_read{ownerUID="u1"} 7',
    'kubevirt_cdi_transfer_bytes_per_second{ownerUID="u1"} 1.5e6',
    'kubevirt_cdi_transfer_stage{ownerUID="u1",stage="transferring"} 1',
    'kubevirt_cdi_transfer_stage_index{ownerUID="u1"} 2',
    'kubevirt_cdi_transfer_stage_count{ownerUID="u1"} 3',
  ].join("\n");
  test("ours, of the one owner", () => {
    expect(readMetrics(current, "u1")).toEqual({
      percent: 27.154,
      bytesDone: 1048576,
      bytesTotal: 4194304,
      bytesRead: 7,
      bytesPerSecond: 1.5e6,
      stage: "transferring",
      stageIndex: 2,
      stageCount: 3,
    });
  });
  test.each(["clone_progress", "import_progress"])("v1.56's %s", (name) => {
    expect(readMetrics(`${name}{ownerUID="u1"} 60.33`, "u1")).toEqual({ percent: 60.33 });
  });
  test.each(["", "<html>", 'x{ownerUID="u1"} NaN', 'clone_progress{ownerUID="u1"} -1', 'clone_progress{ownerUID="u1"'])(
    "%j says nothing",
    (text) => {
      expect(readMetrics(text, "u1")).toEqual({});
      expect(hasDelivered(readMetrics(text, "u1"))).toBe(false);
    },
  );
});
