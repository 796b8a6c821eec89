// How each disk format is inspected before any other tool sees a byte of it.
import { noticesOf, readHeader } from "../qcow2/header.ts";
import type { DiskFormat } from "../sniff.ts";
import type { Inspector } from "./inspector.ts";
import { qed } from "./qed.ts";
import { vdi } from "./vdi.ts";
import { vhdx } from "./vhdx.ts";
import { vmdk } from "./vmdk.ts";
import { vpc } from "./vpc.ts";
import { walkTables } from "./walk-tables.ts";

const qcow2: Inspector = {
  driver: "qcow2",
  readHead(head) {
    const header = readHeader(head);
    return { virtualSizeBytes: header.virtualSizeBytes, notices: noticesOf(header) };
  },
  async walk(path, signal) {
    const { header, dataBytes } = await walkTables(path, signal);
    return { virtualSizeBytes: header.virtualSizeBytes, dataBytes };
  },
};

export const inspectors: Readonly<Record<DiskFormat, Inspector>> = { qcow2, vmdk, vhd: vpc, vhdx, vdi, qed };
