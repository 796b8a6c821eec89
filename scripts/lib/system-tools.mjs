// System tools: which Debian package has each, and how to get them. Installed where root on a Debian-like system; elsewhere
// the exact command is named. Packages never leave daemons running: a policy-rc.d forbids it while apt works.
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { findTool, run } from "./run.mjs";

/** What `npm start` needs. `file` instead of `tool` where the package carries data. */
export const startTools = [
  { tool: "qemu-img", package: "qemu-utils" },
  { tool: "xz", package: "xz-utils" },
  { tool: "zstd", package: "zstd" },
  { tool: "mkfs.ext4", package: "e2fsprogs" },
  { tool: "losetup", package: "mount" },
  { tool: "setpriv", package: "util-linux" },
];
const libraryFolder = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
/** Nice to have: the sample's disk, whose absence is told, and a library that makes compressed clusters quicker. */
export const sampleTools = [
  { file: "/usr/lib/grub-rescue/grub-rescue-cdrom.iso", package: "grub-rescue-pc" },
  { file: `${libraryFolder}/libdeflate.so.0`, package: "libdeflate0" },
];
/** What the tests need beside. */
export const testTools = [
  { tool: "nginx", package: "nginx-light" },
  { tool: "debootstrap", package: "debootstrap" },
  { tool: "curl", package: "curl" },
  { tool: "docker-registry", package: "docker-registry" },
  { tool: "htpasswd", package: "apache2-utils" },
  { tool: "skopeo", package: "skopeo" },
  { tool: "igzip", package: "isal" },
  { tool: "chromium", package: "chromium" },
  { tool: "mkfs.xfs", package: "xfsprogs" },
  { tool: "mkfs.btrfs", package: "btrfs-progs" },
  { tool: "mkfs.vfat", package: "dosfstools" },
  { tool: "sfdisk", package: "fdisk" },
];

const policyFile = "/usr/sbin/policy-rc.d";
const isMissing = (need) => (need.tool ? !findTool(need.tool) : !existsSync(need.file));
const isRoot = () => process.getuid?.() === 0;

/** Installs what is missing of `required` and `wanted`. @throws Error naming the command where it cannot */
export async function ensureTools(required, wanted = []) {
  const missing = [...required, ...wanted].filter(isMissing);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((need) => need.package))];
  if (isRoot() && findTool("apt-get")) {
    await installPackages(packages);
  }
  const still = required.filter(isMissing);
  if (still.length > 0) {
    const names = [...new Set(still.map((need) => need.package))].join(" ");
    throw new Error(
      `missing: ${still.map((need) => need.tool ?? need.file).join(", ")}. Install with: sudo apt-get install -y ${names}`,
    );
  }
}

export async function installPackages(packages) {
  console.log(`setup: installing ${packages.join(" ")}`);
  const before = existsSync(policyFile) ? readFileSync(policyFile) : undefined;
  writeFileSync(policyFile, "#!/bin/sh\nexit 101\n");
  chmodSync(policyFile, 0o755);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = ["-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];
  const quiet = { env, stdio: ["ignore", "ignore", "inherit"] };
  try {
    await run("apt-get", ["update", ...apt], { ...quiet, mayFail: true });
    await run("apt-get", ["install", "-y", "--no-install-recommends", ...apt, ...packages], quiet);
  } finally {
    if (before === undefined) rmSync(policyFile, { force: true });
    else writeFileSync(policyFile, before);
  }
}
