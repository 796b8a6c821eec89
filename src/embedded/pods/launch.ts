// Starts one container as a child process: in namespaces of its own as root, under CDI_ROOT otherwise. It dies with us.
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { link, mkdir, rm, symlink, writeFile, chmod } from "node:fs/promises";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { additiveEnv } from "../../contract/paths.ts";
import type { Road } from "../volumes/index.ts";
import { innerScript, podScript } from "./pod-script.ts";
import { childOf, recordProcess, signal } from "./processes.ts";

/** One thing seen at a path of the container. `group`: fsGroup to hand it to. */
export type Mount = { at: string; readOnly: boolean } & (
  | { by: "bind"; source: string; group?: number | undefined }
  | { by: "filesystem"; device: string; group?: number | undefined }
  | { by: "node"; major: number; minor: number }
);

export interface Launch {
  road: Road;
  /** The container's own folder; its working folder on the folder road. */
  folder: string;
  argv: readonly string[];
  env: ReadonlyMap<string, string>;
  mounts: readonly Mount[];
  /** On the host; bound or linked at the container's path. */
  termination: { file: string; at: string };
  workingDir: string;
  uid: number;
  gid: number;
  groups: readonly number[];
  readOnlyRoot: boolean;
  /** "dac_read_search" where the application tree is closed to others. */
  extraCapability: string;
  /** Given stdout and stderr at once: node throws away what nobody reads when a child is quick to end. */
  onOutput(stream: Readable): void;
  /** No file may grow past this (folder road). */
  fileLimitBytes?: number | undefined;
  /** Of the image it runs in, on the host; absent: it runs in this machine's own root. Device road only. */
  imageRoot?: string | undefined;
  /** Of the memory group it is to live in. */
  joinFile?: string | undefined;
}

export interface Exit {
  exitCode: number;
  signal?: number;
}
export interface Started {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** False when the container's world could not be built; what went wrong is in its log. */
  readonly ready: Promise<boolean>;
  /** Resolves once the container and all it started are dead. */
  readonly exited: Promise<Exit>;
  /** SIGTERM goes to the container's first process, SIGKILL to all. */
  kill(how: "SIGTERM" | "SIGKILL"): Promise<void>;
}

const toolPath = "/usr/sbin:/usr/bin:/sbin:/bin";
const dieWithParent = ["--pdeathsig", "KILL", "--"];
const namespaces = ["--mount", "--pid", "--propagation", "private", "--"];
/**
 * The container is this shell's child and the first process of the new pid namespace. `unshare --fork` would tell less: in
 * util-linux 2.38 its status is 1 when the kernel kills the container, as at its memory limit; this one's is 137 then.
 */
const parent = ["sh", "-c", 'setpriv --pdeathsig KILL -- "$@" & wait "$!"', "parent"];
export const processFile = (folder: string): string => join(folder, "process.json");

/** @throws Error when the first tool cannot be started */
export async function launch(wanted: Launch): Promise<Started> {
  const { folder, termination } = wanted;
  const root = join(folder, "root");
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  await rm(termination.file, { force: true });
  await writeFile(termination.file, "");
  await chmod(termination.file, 0o666);
  const child = wanted.road === "device" ? spawnIsolated(wanted, root) : await spawnPlain(wanted, root);
  return follow(child, wanted);
}

function spawnIsolated(wanted: Launch, root: string): ChildProcess {
  const { termination, env } = wanted;
  const rows = [...wanted.mounts, bindOf(termination.file, termination.at)].flatMap(rowOf);
  const groups = wanted.groups.join(",");
  const seal = wanted.readOnlyRoot ? "ro" : "rw";
  const identity = [String(wanted.uid), String(wanted.gid), groups, wanted.extraCapability];
  const script = [
    "sh",
    "-c",
    podScript,
    "pod",
    root,
    seal,
    wanted.workingDir,
    ...identity,
    wanted.imageRoot ?? "",
    innerScript,
    ...rows,
    "--",
    ...wanted.argv,
  ];
  const passed: Record<string, string> = { PATH: toolPath, LC_ALL: "C", CDI_ENV_COUNT: String(env.size) };
  [...env].forEach(([name, value], index) => (passed[`CDI_ENV_${index}`] = `${name}=${value}`));
  const tools = [...behindTheNode, "setpriv", ...dieWithParent, "unshare", ...namespaces, ...parent, ...script];
  return spawnIn(wanted, tools, {
    detached: true,
    cwd: wanted.folder,
    env: passed,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
}

/**
 * Where the processor is short, the API server and the controllers go first: they wait on many, a pod on nobody. A real
 * node does the same with cgroup weights; a data pod requests 100m of it, a tenth of a processor, and nice 10 is about that.
 */
const behindTheNode = ["nice", "-n", "10"];

/** The shell joins the group and becomes the first tool. */
const joining = 'echo 0 > "$0" && exec "$@"';

function spawnIn({ joinFile }: Launch, tools: readonly string[], options: SpawnOptions): ChildProcess {
  const [program = "", ...rest] = joinFile === undefined ? tools : ["sh", "-c", joining, joinFile, ...tools];
  return spawn(program, rest, options);
}

export const bindOf = (source: string, at: string, readOnly = false, group?: number): Mount => ({
  by: "bind",
  source,
  at,
  readOnly,
  group,
});

function rowOf(mount: Mount): string[] {
  const seal = mount.readOnly ? "ro" : "rw";
  if (mount.by === "bind") return [seal, mount.source, mount.at, String(mount.group ?? ""), "", ""];
  if (mount.by === "filesystem") return ["fs", mount.device, mount.at, String(mount.group ?? ""), seal, ""];
  return ["dev", "", mount.at, String(mount.major), String(mount.minor), ""];
}

async function spawnPlain(wanted: Launch, root: string): Promise<ChildProcess> {
  const { termination, fileLimitBytes } = wanted;
  for (const mount of [...wanted.mounts, bindOf(termination.file, termination.at)]) {
    if (mount.by !== "bind") throw new Error(`${mount.at}: this volume needs root`);
    const place = join(root, mount.at);
    await mkdir(dirname(place), { recursive: true });
    // A file gets a second name, so that programs which refuse links see a plain file.
    await link(mount.source, place).catch(async (cause: NodeJS.ErrnoException) => {
      if (!["EPERM", "EISDIR", "EXDEV"].includes(cause.code ?? "")) throw cause; // folders, other file systems
      await symlink(mount.source, place);
    });
  }
  const tmp = join(root, "tmp");
  await mkdir(tmp, { recursive: true });
  const limit = fileLimitBytes === undefined ? [] : ["prlimit", `--fsize=${fileLimitBytes}`, "--"];
  const env = { ...Object.fromEntries(wanted.env), [additiveEnv.root]: root, TMPDIR: tmp };
  const tools = [...behindTheNode, "setpriv", "--no-new-privs", ...dieWithParent, ...limit, ...wanted.argv];
  return spawnIn(wanted, tools, {
    detached: true,
    cwd: wanted.folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function follow(child: ChildProcess, wanted: Launch): Promise<Started> {
  const { road, folder } = wanted;
  if (child.stdout) wanted.onOutput(child.stdout);
  if (child.stderr) wanted.onOutput(child.stderr);
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, name) => {
      // What it leaves in its group dies with it, as in a container. (A pid namespace has seen to that already.)
      if (child.pid !== undefined) signal(-child.pid, "SIGKILL");
      const number = name ? constants.signals[name] : undefined;
      resolve(number === undefined ? { exitCode: code ?? 1 } : { exitCode: 128 + number, signal: number });
    });
  });
  await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const { pid, stdout, stderr } = child;
  if (pid === undefined || !stdout || !stderr) throw new Error("unreachable: a spawned child has a pid and pipes");
  await recordProcess(pid, processFile(folder));
  const handshake = child.stdio[3] as Readable | undefined;
  const ready = road === "device" && handshake ? saysReady(handshake) : Promise.resolve(true);
  return {
    pid,
    stdout,
    stderr,
    ready,
    exited,
    async kill(how) {
      if (how === "SIGKILL") return void signal(-pid, how);
      const target = road === "device" ? await childOf(pid) : pid;
      if (target !== undefined) signal(target, how);
    },
  };
}

async function saysReady(handshake: Readable): Promise<boolean> {
  let said = "";
  for await (const chunk of handshake as AsyncIterable<Buffer>) {
    said += chunk.toString("utf8");
    if (said.includes("ready")) return true; // the pipe's end would come late: the container's parent holds it too
  }
  return false;
}
