// The importer out of the image's root file system, as a node runs it: chroot, uid 107 without capabilities, read-only
// root, and no more than the environment and mounts of interfaces/importer.md.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, type TestContext } from "vitest";
import { copyCommand, nodePull, serverCommand } from "../../src/contract/node-pull.ts";
import {
  anEnv,
  makeFolder,
  makeImages,
  MiB,
  projectRoot,
  readTerminationLog,
  serveFolder,
  type Images,
  type WebServer,
} from "../integration/importer/world.ts";

const rootfs = join(projectRoot, ".cache/image-root");
const isCi = process.env["CI"] === "true";
const isRoot = process.getuid?.() === 0;
let trouble: string | undefined = isRoot ? undefined : "laying out a root file system needs root";
let images: Images;
let server: WebServer;
let folder: { path: string; remove: () => Promise<void> };

beforeAll(async () => {
  folder = await makeFolder();
  images = await makeImages(folder.path);
  server = await serveFolder(folder.path);
  if (trouble) return;
  try {
    execFileSync(process.execPath, [join(projectRoot, "scripts/image.mjs"), "--rootfs", rootfs], { stdio: "pipe" });
  } catch (cause) {
    const said = (cause as { stderr?: Buffer }).stderr?.toString().trim().split("\n").slice(-3).join(" ");
    trouble = `no image root: ${said ?? String(cause)}`;
  }
}, 600_000);
afterAll(async () => {
  await server.close();
  await folder.remove();
});

/** Absent means are a reason to skip, but not where CI runs as root. */
function needImage(context: TestContext): void {
  if (trouble && isCi && isRoot) throw new Error(trouble);
  if (trouble) context.skip(trouble);
}

// A container runtime gives a /proc and a small /dev of its own; beyond that only the pod's volumes are mounted.
const asContainer = `
set -e
mount --make-rprivate /
mount -t overlay overlay -o ro,lowerdir="$STAGE/points:$IMAGE" "$STAGE/root"
mount -t proc proc "$STAGE/root/proc"
mount -t tmpfs -o mode=755 tmpfs "$STAGE/root/dev"
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9"; do
  set -- $node; mknod -m 666 "$STAGE/root/dev/$1" c "$2" "$3"
done
touch "$STAGE/root/dev/termination-log"
mount --bind "$STAGE/termination-log" "$STAGE/root/dev/termination-log"
if [ -n "$DEVICE" ]; then
  mknod -m 660 "$STAGE/root/dev/cdi-block-volume" b $DEVICE
  chown 107:107 "$STAGE/root/dev/cdi-block-volume"
fi
mount -o remount,ro "$STAGE/root/dev"
for name in data scratch shared; do
  if [ -d "$STAGE/$name" ]; then mount --bind "$STAGE/$name" "$STAGE/root/$name"; fi
done
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $POD_ENV chroot "$STAGE/root" \
  /usr/bin/setpriv --reuid 107 --regid 107 --clear-groups --bounding-set -all --no-new-privs \
  $PROGRAM
`;
const importerProgram = "/usr/bin/cdi-importer -alsologtostderr -v=1";

interface Container {
  readonly stage: string;
  /** @param program of the image, with its arguments. Default the importer */
  readonly run: (
    env: Record<string, string>,
    program?: string,
  ) => Promise<{ exit: number | null; message: unknown; log: string }>;
}

async function makeContainer(volumes: readonly string[], device = ""): Promise<Container> {
  const { path: stage, remove } = await makeFolder();
  onTestFinished(remove);
  await mkdir(join(stage, "root"));
  for (const name of volumes) {
    await mkdir(join(stage, "points", name), { recursive: true });
    await mkdir(join(stage, name));
    await chown(join(stage, name), 107, 107);
  }
  await mkdir(join(stage, "points"), { recursive: true });
  await writeFile(join(stage, "termination-log"), "");
  await chown(join(stage, "termination-log"), 107, 107);
  return {
    stage,
    run(podEnv, PROGRAM = importerProgram) {
      const POD_ENV = Object.entries(podEnv)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ");
      const { PATH = "" } = process.env;
      const env = { PATH: `${PATH}:/usr/sbin:/sbin`, STAGE: stage, IMAGE: rootfs, DEVICE: device, POD_ENV, PROGRAM };
      const child = spawn("unshare", ["-m", "sh", "-c", asContainer], { env, stdio: ["ignore", "ignore", "pipe"] });
      let log = "";
      child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
      return new Promise((done, fail) => {
        child.once("error", fail);
        child.once("close", (exit) => {
          readTerminationLog(join(stage, "termination-log")).then((message) => done({ exit, message, log }), fail);
        });
      });
    },
  };
}

const complete = { scratchSpaceRequired: false, preallocationApplied: false, message: "Import Complete" };

test.for(["disk.img", "disk.qcow2"])("a Filesystem volume is filled from %s", async (name, context) => {
  needImage(context);
  const { stage, run } = await makeContainer(["data", "scratch"]);
  const ran = await run(anEnv({ endpoint: `${server.url}/ranges/${name}`, imageSize: "24Mi" }));
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  const disk = await readFile(join(stage, "data/disk.img"));
  expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  // usable(24 MiB, 0.06) in whole MiB: interfaces/importer.md 7.4 and 9.
  expect(disk.length).toBe(22 * MiB);
  const { uid, mode } = await stat(join(stage, "data/disk.img"));
  expect({ uid, mode: mode & 0o777 }).toEqual({ uid: 107, mode: 0o660 });
  expect([...(await readdir(join(stage, "data"))), ...(await readdir(join(stage, "scratch")))]).toEqual(["disk.img"]);
});

test.for(["disk.img", "disk.qcow2"])("a block device is filled from %s", async (name, context) => {
  needImage(context);
  const loop = await makeLoop(24 * MiB);
  const { run } = await makeContainer(["scratch"], loop.numbers);
  const ran = await run(anEnv({ endpoint: `${server.url}/ranges/${name}`, imageSize: "24Mi" }));
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  const disk = await readFile(loop.backing);
  expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  expect(disk.subarray(images.bytes.length).every((byte) => byte === 0)).toBe(true);
});

test("without scratch a qcow2 whose tables come too late asks for it, and a missing file is told as upstream tells it", async (context) => {
  needImage(context);
  const first = await makeContainer(["data"]);
  const asked = await first.run(anEnv({ endpoint: `${server.url}/plain/late.qcow2`, imageSize: "24Mi" }));
  expect(asked, asked.log).toMatchObject({ exit: 0, message: { ...complete, scratchSpaceRequired: true } });
  const second = await makeContainer(["data"]);
  const missed = await second.run(anEnv({ endpoint: `${server.url}/ranges/none.img`, imageSize: "24Mi" }));
  const message = "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found";
  expect(missed, missed.log).toMatchObject({ exit: 77, message });
});

test("the library for compressed clusters is where the image's loader looks", async (context) => {
  needImage(context);
  // What the loader finds is in its cache (docs/adr/0021).
  expect((await readFile(join(rootfs, "etc/ld.so.cache"))).includes("libdeflate.so.0")).toBe(true);
});

test("what a node pull's init container copies starts where there is nothing else", async (context) => {
  needImage(context);
  const { stage, run } = await makeContainer(["shared"]);
  const [, ...args] = copyCommand;
  const copied = await run({}, [nodePull.program, ...args].join(" "));
  expect(copied, copied.log).toMatchObject({ exit: 0 });
  const empty = join(stage, "empty");
  await mkdir(join(empty, "shared"), { recursive: true });
  const [loader = "", ...rest] = serverCommand;
  const script = 'mount --bind "$1" "$2/shared"; shift; exec setpriv --no-new-privs chroot --userspec=107:107 "$@"';
  const inside = ["-m", "sh", "-c", script, "container", join(stage, "shared"), empty, loader, ...rest.slice(0, 6)];
  const said = spawnSync("unshare", [...inside, "-h"], {
    encoding: "utf8",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  expect(said).toMatchObject({ status: 0, stderr: expect.stringMatching(/^Usage of cdi-containerimage-server/) });
  const { mode, uid } = await stat(join(stage, "shared/node"));
  expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o755, uid: 107 });
});

/** A loop device full of old bytes, released when the test ends. */
async function makeLoop(bytes: number): Promise<{ backing: string; numbers: string }> {
  const { path, remove } = await makeFolder();
  onTestFinished(remove);
  const backing = join(path, "backing");
  const file = await open(backing, "w");
  await file.writeFile(randomBytes(bytes));
  await file.close();
  const device = execFileSync("losetup", ["-f", "--show", backing], { encoding: "utf8" }).trim();
  onTestFinished(() => void execFileSync("losetup", ["-d", device]));
  const numbers = execFileSync("lsblk", ["-dno", "MAJ:MIN", device], { encoding: "utf8" }).trim().replace(":", " ");
  return { backing, numbers };
}
