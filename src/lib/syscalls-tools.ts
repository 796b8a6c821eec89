// What is left of the system calls where koffi cannot load: util-linux fallocate, sysfs and plain fdatasync.
import { spawn } from "node:child_process";
import { fdatasync, fstatSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { SyscallError } from "./syscalls-types.ts";
import type { AllocateMode, Syscalls } from "./syscalls-types.ts";

const syncData = promisify(fdatasync);
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const modeArguments: Record<AllocateMode, string[]> = {
  plain: [],
  "keep-size": ["--keep-size"],
  punch: ["--punch-hole"],
  zero: ["--zero-range", "--keep-size"],
};

const words: [RegExp, string][] = [
  [/not supported|unsupported/i, "EOPNOTSUPP"],
  [/No space left/i, "ENOSPC"],
  [/quota/i, "EDQUOT"],
  [/Read-only/i, "EROFS"],
  [/Permission denied/i, "EACCES"],
  [/not permitted/i, "EPERM"],
  [/too large/i, "EFBIG"],
  [/Invalid argument/i, "EINVAL"],
  [/No such device/i, "ENODEV"],
];

/** Runs a tool on a descriptor of ours, which it sees as /proc/self/fd/3. */
function runOn(fd: number, tool: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, [...args, "/proc/self/fd/3"], {
      env: { PATH: searchPath, LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe", fd],
    });
    let told = "";
    child.stderr?.on("data", (chunk: Buffer) => (told = (told + chunk.toString()).slice(-1024)));
    child.once("error", () => reject(new SyscallError("ENOSYS", tool, `the ${tool} tool is not installed`)));
    child.once("close", (status) => {
      if (status === 0) return resolve();
      const code = words.find(([pattern]) => pattern.test(told))?.[1] ?? "EIO";
      reject(new SyscallError(code, tool, told.trim()));
    });
  });
}

/** The device's folder in sysfs, which also answers where ioctl is out of reach. */
function sysfsNumber(fd: number, ...names: string[]): number {
  const { rdev } = fstatSync(fd);
  // glibc's gnu_dev_major and gnu_dev_minor, for the 32 bits Linux uses.
  const folder = `/sys/dev/block/${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
  for (const name of names) {
    try {
      return Number(readFileSync(`${folder}/${name}`, "utf8"));
    } catch (cause) {
      if (name === names.at(-1)) throw new SyscallError("ENOTTY", "sysfs", String(cause));
    }
  }
  throw new SyscallError("ENOTTY", "sysfs");
}

const absent = (name: string) => Promise.reject(new SyscallError("ENOSYS", name, "koffi is not available"));

export function toolSyscalls(): Syscalls {
  return {
    native: false,
    pageBytes: 4096,
    placeInPage: () => undefined,
    allocate: (fd, mode, offset, length) =>
      runOn(fd, "fallocate", [...modeArguments[mode], "--offset", String(offset), "--length", String(length)]),
    deviceSizeBytes: (fd) => sysfsNumber(fd, "size") * 512,
    // A partition keeps its queue beside it, in the whole disk's folder.
    logicalBlockBytes: (fd) => sysfsNumber(fd, "queue/logical_block_size", "../queue/logical_block_size"),
    discardBlocks: () => absent("ioctl BLKDISCARD"),
    startWriteback: () => Promise.resolve(),
    awaitWriteback: (fd) => syncData(fd),
    dropCache: () => Promise.resolve(),
    syncFilesystem: (fd) => runOn(fd, "sync", ["--file-system"]),
    nextData: () => absent("lseek"),
    nextHole: () => absent("lseek"),
    openPipe: () => undefined,
    sealDescriptors: () => undefined,
  };
}
