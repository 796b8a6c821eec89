// What a decoding tool says on its standard error, and what the user is told of it.
import { expect, test } from "vitest";
import { complaintOf } from "../../../src/datapath/decoders/tool.ts";

const ended = (exitCode: number | null, stderr = "", signal: NodeJS.Signals | null = null) => ({
  exitCode,
  stderr,
  signal,
});

test.each([
  { when: "it was content", tool: "xz", result: ended(0), is: undefined },
  { when: "it was content, with a warning", tool: "xz", result: ended(0, "xz: (stdin): odd"), is: undefined },
  {
    when: "xz complains",
    tool: "xz",
    result: ended(1, "xz: (stdin): Unexpected end of input\n"),
    is: { code: "ImageCorrupt", message: "unable to decompress xz: Unexpected end of input" },
  },
  {
    when: "xz is called by its path",
    tool: "xz",
    result: ended(1, "/usr/bin/xz: (stdin): File format not recognized"),
    is: { code: "ImageCorrupt", message: "unable to decompress xz: File format not recognized" },
  },
  {
    when: "xz would need more memory than it may have",
    tool: "xz",
    result: ended(
      1,
      "/usr/bin/xz: (stdin): Memory usage limit reached\n/usr/bin/xz: Limit was 256 MiB, but 4097 MiB needed",
    ),
    is: {
      code: "ImageRefused",
      message: "unable to decompress xz: Memory usage limit reached; Limit was 256 MiB, but 4097 MiB needed",
    },
  },
  {
    when: "zstd complains of its standard input",
    tool: "zstd",
    result: ended(1, "/*stdin*\\ : Decoding error (36) : Restored data doesn't match checksum "),
    is: {
      code: "ImageCorrupt",
      message: "unable to decompress zstd: Decoding error (36) : Restored data doesn't match checksum",
    },
  },
  {
    when: "zstd complains with both its names",
    tool: "zstd",
    result: ended(1, "zstd: /*stdin*\\: unsupported format "),
    is: { code: "ImageCorrupt", message: "unable to decompress zstd: unsupported format" },
  },
  {
    when: "it says nothing",
    tool: "xz",
    result: ended(3),
    is: { code: "ImageCorrupt", message: "unable to decompress xz: xz ended with status 3" },
  },
  {
    when: "it was killed",
    tool: "xz",
    result: ended(null, "", "SIGKILL"),
    is: { code: "Unclassified", message: "decompressing xz: xz was ended by SIGKILL" },
  },
])("$when", ({ tool, result, is }) => {
  const fault = complaintOf(tool, tool, result);
  expect(fault && { code: fault.code, message: fault.message }).toEqual(is);
});
