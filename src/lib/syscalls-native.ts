// System calls through koffi: the one file that talks to the C library.
import { createRequire } from "node:module";
import type * as Koffi from "koffi";
import { errnoName, SyscallError } from "./syscalls-types.ts";
import type { AllocateMode, Syscalls } from "./syscalls-types.ts";

// linux/falloc.h
const allocateFlags: Record<AllocateMode, number> = { plain: 0, "keep-size": 1, punch: 2 | 1, zero: 16 | 1 };
// linux/fs.h; _IO and _IOR have the same layout on x86-64 and arm64.
const BLKGETSIZE64 = 0x80081272;
const BLKSSZGET = 0x1268;
const BLKDISCARD = 0x1277;
// linux/fs.h and fcntl.h
const WAIT_BEFORE = 1;
const WRITE = 2;
const WAIT_AFTER = 4;
const DONTNEED = 4;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
// asm-generic/unistd.h, the same on x86-64 and arm64; linux/close_range.h
const SYS_close_range = 436;
const CLOSE_RANGE_CLOEXEC = 4;
// bits/confname.h
const SC_PAGESIZE = 30;
// asm-generic/fcntl.h and linux/fcntl.h
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;

type Numbers<A extends number[]> = Koffi.KoffiFunc<(...args: A) => number>;

/** @throws when koffi or a C library with these names cannot be loaded */
export function loadNativeSyscalls(): Syscalls {
  const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
  const libc = koffi.load("libc.so.6");
  const fallocate: Numbers<[number, number, number, number]> = libc.func(
    "int fallocate64(int fd, int mode, int64_t offset, int64_t length)",
  );
  const syncFileRange: Numbers<[number, number, number, number]> = libc.func(
    "int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)",
  );
  const fadvise: Numbers<[number, number, number, number]> = libc.func(
    "int posix_fadvise64(int fd, int64_t offset, int64_t length, int advice)",
  );
  const syncfs: Numbers<[number]> = libc.func("int syncfs(int fd)");
  const lseek: Numbers<[number, number, number]> = libc.func("int64_t lseek64(int fd, int64_t offset, int whence)");
  const ioctl: Koffi.KoffiFunc<(fd: number, request: number, argument: Uint8Array) => number> = libc.func(
    "int ioctl(int fd, unsigned long request, void *argument)",
  );
  const systemCall: Numbers<[number, number, number, number]> = libc.func(
    "long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)",
  );

  const pipe2: Koffi.KoffiFunc<(ends: Int32Array, flags: number) => number> = libc.func(
    "int pipe2(int *ends, int flags)",
  );
  const sysconf: Numbers<[number]> = libc.func("long sysconf(int name)");
  const pageBytes = sysconf(SC_PAGESIZE);
  const fcntl: Numbers<[number, number, number]> = libc.func("int fcntl(int fd, int command, int argument)");

  /** Runs a call on a worker thread. errno is only right inside the callback, where koffi restores it. */
  function inBackground<A extends unknown[]>(
    name: string,
    call: { async: (...args: [...A, (error: Error | null, result: number) => void]) => void },
    ...args: A
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, result: number): void => {
        if (error) return reject(error);
        if (result === -1) return reject(new SyscallError(errnoName(koffi.errno()), name));
        resolve(result);
      };
      call.async(...args, done);
    });
  }

  function ask(fd: number, request: number, name: string): Buffer {
    const answer = Buffer.alloc(8);
    if (ioctl(fd, request, answer) === -1) throw new SyscallError(errnoName(koffi.errno()), `ioctl ${name}`);
    return answer;
  }

  return {
    native: true,
    pageBytes,
    placeInPage: (bytes) => Number(koffi.address(bytes) % BigInt(pageBytes)),
    async allocate(fd, mode, offset, length) {
      await inBackground("fallocate", fallocate, fd, allocateFlags[mode], offset, length);
    },
    deviceSizeBytes: (fd) => Number(ask(fd, BLKGETSIZE64, "BLKGETSIZE64").readBigUInt64LE()),
    logicalBlockBytes: (fd) => ask(fd, BLKSSZGET, "BLKSSZGET").readUInt32LE(),
    async discardBlocks(fd, offset, length) {
      const range = Buffer.alloc(16);
      range.writeBigUInt64LE(BigInt(offset), 0);
      range.writeBigUInt64LE(BigInt(length), 8);
      await inBackground("ioctl BLKDISCARD", ioctl, fd, BLKDISCARD, range);
    },
    async startWriteback(fd, offset, length) {
      await inBackground("sync_file_range", syncFileRange, fd, offset, length, WRITE);
    },
    async awaitWriteback(fd, offset, length) {
      await inBackground("sync_file_range", syncFileRange, fd, offset, length, WAIT_BEFORE | WRITE | WAIT_AFTER);
    },
    async dropCache(fd, offset, length) {
      // Unlike the others this one returns its errno.
      const errno = await inBackground("posix_fadvise", fadvise, fd, offset, length, DONTNEED);
      if (errno !== 0) throw new SyscallError(errnoName(errno), "posix_fadvise");
    },
    async syncFilesystem(fd) {
      await inBackground("syncfs", syncfs, fd);
    },
    async nextData(fd, offset) {
      try {
        return await inBackground("lseek", lseek, fd, offset, SEEK_DATA);
      } catch (cause) {
        if (cause instanceof SyscallError && cause.code === "ENXIO") return undefined;
        throw cause;
      }
    },
    openPipe(roomBytes) {
      const ends = new Int32Array(2);
      if (pipe2(ends, O_CLOEXEC) === -1) return undefined;
      const [readFd = -1, writeFd = -1] = ends;
      fcntl(readFd, F_SETPIPE_SZ, roomBytes);
      fcntl(readFd, F_SETFL, O_NONBLOCK);
      return { readFd, writeFd };
    },
    sealDescriptors() {
      // A kernel before 5.11 refuses: then the descriptors stay as they were.
      systemCall(SYS_close_range, 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
    },
    nextHole: (fd, offset) => inBackground("lseek", lseek, fd, offset, SEEK_HOLE),
  };
}
