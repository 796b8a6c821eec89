// What an import's end says, in the words of a current controller and of one of v1.56 (interfaces/importer.md 4.1).
import { describe, expect, test } from "vitest";
import { endingOf, type End, type FailedAt } from "../../../importer/outcome.ts";
import { attemptsOf, codeOfExit, Fault, FAULTS, type FaultCode } from "../../../src/lib/faults.ts";
import type { Stage } from "../../../src/datapath/types.ts";

const at = (stage: Stage, bytesRead = 0): FailedAt => ({ during: "import", source: "http", stage, bytesRead });
const failed = (code: FaultCode, message: string, where: FailedAt): End => ({
  kind: "failed",
  fault: new Fault(code, message),
  where,
});
const tooSmall =
  "virtual image size 4294967296 is larger than the reported available storage 1073741824. A larger PVC is required";

test.each<{ when: string; end: End; current: [number, unknown]; old: [number, unknown] }>([
  {
    when: "success",
    end: { kind: "done", preallocated: false },
    current: [0, { scratchSpaceRequired: false, preallocationApplied: false, message: "Import Complete" }],
    old: [0, "Import Complete"],
  },
  {
    when: "success with preallocation",
    end: { kind: "done", preallocated: true },
    current: [0, { scratchSpaceRequired: false, preallocationApplied: true, message: "Import Complete" }],
    old: [0, "Import Complete, Preallocation applied"],
  },
  {
    when: "scratch needed",
    end: { kind: "scratchNeeded" },
    current: [0, { scratchSpaceRequired: true, preallocationApplied: false, message: "Import Complete" }],
    old: [42, undefined],
  },
  {
    when: "blank",
    end: { kind: "blank", preallocated: true, silent: false },
    current: [0, { preallocationApplied: true, message: "Import Complete" }],
    old: [0, "Import Complete, Preallocation applied"],
  },
  {
    when: "blank block device without preallocation",
    end: { kind: "blank", preallocated: false, silent: true },
    current: [0, undefined],
    old: [0, "Import Complete"],
  },
  {
    when: "checksum mismatch",
    end: failed("ChecksumMismatch", "checksum mismatch: expected md5:a, calculated md5:b", at("finishing", 9)),
    current: [0, { message: "checksum validation failed: checksum mismatch: expected md5:a, calculated md5:b" }],
    old: [
      64,
      "Unable to process data: Unable to resize disk image to requested size: checksum differs: expected md5:a, calculated md5:b",
    ],
  },
  {
    when: "404",
    end: failed("SourceNotFound", "expected status code 200, got 404. Status: 404 Not Found", at("connecting")),
    current: [77, "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found"],
    old: [77, "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found"],
  },
  {
    when: "404 after bytes were delivered",
    end: failed("SourceNotFound", "expected status code 200, got 404. Status: 404 Not Found", at("transferring", 5)),
    current: [
      86,
      "Unable to process data: Unable to transfer source data to target file: failed to pull image: expected status code 200, got 404. Status: 404 Not Found",
    ],
    old: [
      86,
      "Unable to process data: Unable to transfer source data to target file: failed to pull image: expected status code 200, got 404. Status: 404 Not Found",
    ],
  },
  {
    when: "too small",
    end: failed("TargetTooSmall", tooSmall, at("connecting", 512)),
    current: [67, `Unable to process data: Unable to convert source data to target format: ${tooSmall}`],
    old: [67, `Unable to process data: Unable to convert source data to target format: V${tooSmall.slice(1)}.`],
  },
  {
    when: "volume full while downloading to scratch",
    end: failed("TargetFull", "writing to scratch", at("downloading", 5)),
    current: [
      92,
      "Unable to process data: Unable to transfer source data to scratch space: unable to write to file: writing to scratch: no space left on device",
    ],
    old: [
      92,
      "Unable to process data: Unable to transfer source data to scratch space: unable to write to file: writing to scratch: no space left on device",
    ],
  },
  {
    when: "qemu-img failed",
    end: failed("ConversionFailed", "could not convert image to raw", at("converting", 5)),
    current: [
      99,
      "Unable to process data: Unable to convert source data to target format: Conversion to Raw failed: could not convert image to raw",
    ],
    old: [
      99,
      "Unable to process data: Unable to convert source data to target format: Conversion to Raw failed: could not convert image to raw",
    ],
  },
  {
    when: "shorter than a header",
    end: failed("ImageTooShort", "could not process image header", at("connecting", 100)),
    current: [
      73,
      "Unable to process data: Unable to obtain information about data source: could not process image header",
    ],
    old: [73, "Unable to process data: Unable to obtain information about data source: could not process image header"],
  },
  {
    when: "unknown source",
    end: failed("SourceUnknown", "Unknown data source: glance", { during: "start" }),
    current: [66, "Unknown data source: glance"],
    old: [66, "Unknown data source: glance"],
  },
  {
    when: "blank failed",
    end: failed("TargetFull", "no space left on device", { during: "blank" }),
    current: [92, "Unable to create blank image: no space left on device"],
    old: [92, "Unable to create blank image: no space left on device"],
  },
])("$when", ({ end, current, old }) => {
  const said = (listener: "current" | "v1.56"): [number, unknown] => {
    const { exit, message } = endingOf(end, listener);
    return [exit, message?.startsWith("{") ? JSON.parse(message) : message];
  };
  expect({ current: said("current"), old: said("v1.56") }).toEqual({ current, old });
});

describe("an image of a registry", () => {
  const outer =
    "Unable to process data: Unable to transfer source data to scratch space: Failed to read registry image: ";
  test.each<{ code: FaultCode; said: string; exit: number }>([
    { code: "SourceNotFound", said: "failed to pull image: expected status code 200, got 404", exit: 77 },
    { code: "SourceUnauthorized", said: "failed to pull image: expected status code 200, got 401", exit: 75 },
    { code: "UnknownAuthority", said: "failed to pull image: x509: certificate signed by unknown authority", exit: 80 },
    { code: "HostUnknown", said: "failed to pull image: no such host", exit: 84 },
    { code: "ConfigInvalid", said: 'Could not parse image: Invalid image name "x", unknown transport', exit: 65 },
    { code: "DigestMismatch", said: "layer sha256:a has the digest sha256:b where sha256:a was expected", exit: 105 },
    { code: "NoDiskInImage", said: "Failed to find VM disk image file in the container image", exit: 106 },
    { code: "NoDiskInImage", said: "Cannot locate image file: image directory does not exist", exit: 106 },
    {
      code: "PlatformMissing",
      said: 'no image found in image index for architecture "s390x", variant "", OS "linux"',
      exit: 107,
    },
  ])("$code: $said", ({ code, said, exit }) => {
    const where: FailedAt = { during: "import", source: "registry", stage: "connecting", bytesRead: 0 };
    for (const listener of ["current", "v1.56"] as const)
      expect(endingOf(failed(code, said, where), listener)).toEqual({ exit, message: `${outer}${said}` });
  });

  test("its labels travel with success, as many as the kubelet lets through", () => {
    const labels = { "instancetype.kubevirt.io/default-preference": "fedora" };
    const said = (given: Record<string, string>): { labels?: Record<string, string> } =>
      JSON.parse(endingOf({ kind: "done", preallocated: false, labels: given }, "current").message ?? "{}");
    expect(said(labels)).toMatchObject({ message: "Import Complete", labels });
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, "v".repeat(60)]));
    const kept = Object.keys(said(many).labels ?? {}).length;
    expect(kept).toBeGreaterThan(20);
    expect(kept).toBeLessThan(80);
  });
});

describe("every fault", () => {
  const codes = Object.keys(FAULTS) as FaultCode[];
  test.each(codes.filter((code) => code !== "ChecksumMismatch"))(
    "%s ends with a status that leads back to it",
    (code) => {
      const { exit, message } = endingOf(failed(code, "x", at("connecting")), "current");
      expect([undefined, code]).toContain(codeOfExit(exit));
      expect(exit === 1 || (exit >= 64 && exit <= 113)).toBe(true);
      expect(message).not.toMatch(/^\{/);
    },
  );
  test.each(codes)("%s is never final for a source that has delivered a byte, if it is the source's", (code) => {
    const { exit } = endingOf(failed(code, "x", at("transferring", 1)), "current");
    if (FAULTS[code].retry === "some")
      expect(attemptsOf[FAULTS[codeOfExit(exit) ?? "Unclassified"].retry]).toBe(Infinity);
    else expect(exit).toBe(code === "ChecksumMismatch" ? 0 : FAULTS[code].exit);
  });
});

test("a long message is cut to the kubelet's limit between characters", () => {
  const { message = "" } = endingOf(failed("TargetIo", "ü".repeat(5000), at("transferring", 1)), "current");
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
  expect(Buffer.byteLength(message)).toBeGreaterThan(4090);
  expect(message).not.toContain("\ufffd");
});

test("a text of several lines becomes one", () => {
  const { message } = endingOf(failed("ConversionFailed", "first\nsecond\r\nthird", at("converting")), "current");
  expect(message).toMatch(/first second third$/);
});
