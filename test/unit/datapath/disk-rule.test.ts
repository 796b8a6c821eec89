// What is a disk and what is not (docs: "What is a disk"): by name against bytes, by kind of text, by length.
import { describe, expect, test } from "vitest";
import { needsVhdFooter, refuseNonDisk, tooShort } from "../../../src/datapath/disk-rule.ts";
import { faultOf, type FaultCode } from "../../../src/lib/faults.ts";
import { seededBytes } from "../../support/images.ts";

const noise = seededBytes(64 * 1024, "noise");
const begins = (text: string, encoding: BufferEncoding = "utf8"): Buffer => {
  const head = Buffer.alloc(64 * 1024, " ");
  Buffer.from(text, encoding).copy(head);
  return head;
};
const over = (offset: number, mark: string): Buffer => {
  const head = Buffer.alloc(64 * 1024);
  head.write(mark, offset, "latin1");
  return head;
};
function codeOf(head: Buffer, path = "/disk"): FaultCode | "accepted" {
  try {
    refuseNonDisk(head, path);
    return "accepted";
  } catch (cause) {
    return faultOf(cause).code;
  }
}

describe("bytes that are disks, whatever they look like", () => {
  test.each([
    { when: "zeros", head: Buffer.alloc(64 * 1024) },
    { when: "noise, as of an encrypted disk", head: noise },
    { when: "LUKS", head: over(0, "LUKS\u00ba\u00be\u0000\u0002") },
    { when: "ext4, which begins with zeros", head: over(1080, "\u0053\u00ef") },
    { when: "a boot sector", head: over(510, "\u0055\u00aa") },
    { when: "a tar of JSON", head: over(0x101, "ustar\u000000") },
    { when: "an ISO", head: over(0x8001, "CD001") },
    { when: "a fixed VHD, whose mark is in its footer", head: noise },
    { when: "XFS", head: over(0, "XFSB\u0000\u0000\u0010\u0000") },
    { when: "a brace in noise", head: Buffer.concat([Buffer.from('{"'), noise]) },
    { when: "an angle bracket in noise", head: Buffer.concat([Buffer.from("<a"), noise]) },
    { when: "text that is none of those named", head: begins("cloud-init: none\n") },
    { when: "PK, but no zip", head: over(0, "PKG1") },
  ])("$when", ({ head }) => {
    expect(codeOf(head)).toBe("accepted");
  });
});

describe("bytes that are none", () => {
  test.each([
    { when: "an HTML page", head: begins("<!DOCTYPE html><html><body>404"), says: "an HTML page" },
    { when: "an HTML page in capitals", head: begins("<HTML lang=en><HEAD>"), says: "an HTML page" },
    { when: "an HTML page after blank lines", head: begins("\r\n\t \n<html>"), says: "an HTML page" },
    { when: "an HTML page after a byte order mark", head: begins("\uFEFF<!doctype HTML>"), says: "an HTML page" },
    { when: "an HTML page after a comment", head: begins("<!-- generated --><html>"), says: "an HTML page" },
    { when: "an HTML page in UTF-16", head: begins("\uFEFF<!doctype html>", "utf16le"), says: "an HTML page" },
    { when: "XML", head: begins('<?xml version="1.0"?><Error/>'), says: "an XML document" },
    { when: "XML without its first line", head: begins("<Error><Code>AccessDenied</Code>"), says: "an XML document" },
    { when: "XML that begins with its type", head: begins("<!DOCTYPE svg>"), says: "an XML document" },
    { when: "a JSON object", head: begins('{"error": "not found"}'), says: "a JSON document" },
    { when: "a JSON object on many lines", head: begins('{\n  "error": 1\n}'), says: "a JSON document" },
    { when: "an empty JSON object", head: begins("{}"), says: "a JSON document" },
    { when: "a JSON array", head: begins('[{"a":1}]'), says: "a JSON document" },
    { when: "a zip", head: over(0, "PK\u0003\u0004"), says: "a zip archive" },
    { when: "an empty zip", head: over(0, "PK\u0005\u0006"), says: "a zip archive" },
    { when: "a 7z", head: over(0, "7z\u00bc\u00af\u0027\u001c"), says: "a 7z archive" },
    {
      when: "a bare VMDK descriptor",
      head: begins("# Disk DescriptorFile\nversion=1\n"),
      says: "a bare VMDK descriptor",
    },
  ])("$when", ({ head, says }) => {
    expect(codeOf(head)).toBe("NotAnImage");
    expect(() => refuseNonDisk(head, "/disk")).toThrow(`the source is ${says}`);
  });
});

describe("the name against the bytes", () => {
  const extensions = [".qcow2", ".vmdk", ".vdi", ".vhdx", ".qed"];
  const named = extensions.flatMap((extension) => ["", ".gz", ".xz", ".zst", ".gz.xz"].map((more) => extension + more));
  test.each([...named, ".QCOW2", ".Qcow2.GZ"])("noise named %s is refused", (extension) => {
    expect(codeOf(noise, `/images/disk${extension}`)).toBe("NotAnImage");
  });
  test.each([...named, ".vhd", ".img"])("a known disk named %s is one, though another", (extension) => {
    expect(codeOf(over(0, "QFI\u00fb"), `/images/disk${extension}`)).toBe("accepted");
  });
  test.each([
    "/disk.img",
    "/disk.raw.xz",
    "/disk",
    "/qcow2",
    "/disk.qcow2.sig",
    "/disk.qcow2.bz2",
    "/a.qcow2/disk",
    "/disk.gz",
    "/",
    "",
  ])("noise named %j is a disk", (path) => {
    expect(codeOf(noise, path)).toBe("accepted");
  });
});

describe("the name .vhd", () => {
  test.each([
    { when: "noise: the footer has to tell", head: noise, path: "/disk.vhd", needs: true },
    { when: "noise, compressed", head: noise, path: "/disk.VHD.gz", needs: true },
    { when: "a dynamic VHD shows itself", head: over(0, "conectix"), path: "/disk.vhd", needs: false },
    { when: "another disk", head: over(0, "QFI\u00fb"), path: "/disk.vhd", needs: false },
    { when: "noise under another name", head: noise, path: "/disk.img", needs: false },
    { when: "noise named .vhdx", head: noise, path: "/disk.vhdx", needs: false },
  ])("$when", ({ head, path, needs }) => {
    expect(needsVhdFooter(head, path)).toBe(needs);
  });
  test("is not refused by its head", () => {
    expect(codeOf(noise, "/disk.vhd")).toBe("accepted");
  });
  test("does not save a page", () => {
    expect(codeOf(begins("<html>"), "/disk.vhd")).toBe("NotAnImage");
  });
});

test("too short is told in upstream's words", () => {
  const fault = tooShort("the source", 511);
  expect(fault.code).toBe("ImageTooShort");
  expect(fault.message).toMatch(/^could not process image header: the source has 511 bytes/);
});
