// Tools as child processes: what they are given, how they end, and that nothing of theirs or ours is left over.
import { spawn } from "node:child_process";
import { getEventListeners, once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { runTool, spawnTool } from "../../../src/datapath/child.ts";
import { makeFolder } from "../../support/loop.ts";

/** Resolves once the process is gone; a zombie counts as gone. */
async function goneWithin(pid: number, ms: number): Promise<boolean> {
  for (const until = Date.now() + ms; Date.now() < until;) {
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (state === "" || /\) Z /.test(state)) return true;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return false;
}

describe("runTool", () => {
  test("gives output, status and words of a failure", async () => {
    const good = await runTool("sh", ["-c", "echo out; echo err >&2"]);
    expect(good).toEqual({ exitCode: 0, signal: null, stdout: "out\n", stderr: "err" });
    const bad = await runTool("sh", ["-c", "exit 7"]);
    expect(bad).toMatchObject({ exitCode: 7, signal: null });
  });

  test("keeps the last 4 KiB of stderr", async () => {
    const { stderr } = await runTool("sh", ["-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2"]);
    expect(stderr.length).toBeLessThanOrEqual(4096);
    expect(stderr.endsWith("xxend")).toBe(true);
  });

  test("passes nothing of our environment but a fixed PATH, and no descriptors", async () => {
    process.env["CDI_TEST_SECRET"] = "hidden";
    const { stdout } = await runTool("env", [], { env: { WORD: "given" } });
    delete process.env["CDI_TEST_SECRET"];
    expect(
      stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split("=")[0])
        .toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    ).toEqual(["PATH", "WORD"]);
    const open = await runTool("ls", ["/proc/self/fd"]);
    // 0, 1, 2 and the folder that ls reads.
    expect(open.stdout.trim().split("\n")).toEqual(["0", "1", "2", "3"]);
  });

  test("a missing tool names its package", async () => {
    await expect(runTool("no-such-tool", [])).rejects.toMatchObject({
      code: "ToolMissing",
      message: expect.stringContaining("no-such-tool"),
    });
  });

  test("a file may not grow past its bound", async () => {
    const path = join(await makeFolder(), "out");
    const { exitCode, signal } = await runTool("dd", ["if=/dev/zero", `of=${path}`, "bs=64K", "count=100"], {
      limits: { fileBytes: 1_000_000 },
    });
    expect(exitCode === 0 && signal === null).toBe(false);
    expect((await stat(path)).size).toBeLessThanOrEqual(1_000_000);
  });

  test("processor time is bounded", async () => {
    const { signal } = await runTool("sh", ["-c", "while :; do :; done"], { limits: { cpuSeconds: 1 } });
    expect(["SIGXCPU", "SIGKILL"]).toContain(signal);
  });

  test("sees no network when told so", async () => {
    const { stdout } = await runTool("cat", ["/proc/self/net/dev"], { noNetwork: true });
    expect([...stdout.matchAll(/^\s*(\w+):/gm)].map((match) => match[1]).filter((name) => name === "eth0")).toEqual([]);
  });

  test("ends politely when aborted, and leaves no listener", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const running = runTool("sleep", ["600"], { signal: stop.signal });
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    await runTool("true", [], { signal: new AbortController().signal });
  });

  test("ends by force when politeness does not help", async () => {
    const stop = new AbortController();
    const deaf = spawnTool("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], {
      stdout: "pipe",
      signal: stop.signal,
      graceMs: 100,
    });
    await once(deaf.stdout ?? expect.fail("no stdout"), "data");
    stop.abort();
    expect(await deaf.done).toMatchObject({ exitCode: null, signal: "SIGKILL" });
  });

  test("is not started for a signal that is aborted already", async () => {
    await expect(runTool("true", [], { signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow("too late");
  });
});

describe("spawnTool", () => {
  test("streams through", async () => {
    const tool = spawnTool("tr", ["a-z", "A-Z"], { stdin: "pipe", stdout: "pipe" });
    const seen: Buffer[] = [];
    const { stdin, stdout } = tool;
    if (!stdin || !stdout) return expect.fail("no pipes");
    await Promise.all([
      pipeline(Readable.from([Buffer.from("some "), Buffer.from("words")]), stdin),
      pipeline(stdout, async (source) => {
        for await (const chunk of source as AsyncIterable<Buffer>) seen.push(chunk);
      }),
    ]);
    expect(await tool.done).toMatchObject({ exitCode: 0 });
    expect(Buffer.concat(seen).toString()).toBe("SOME WORDS");
  });

  test("a tool dies with a parent that was killed", async () => {
    const script = `
      import { spawnTool } from ${JSON.stringify(join(import.meta.dirname, "../../../src/datapath/child.ts"))};
      const tool = spawnTool("sh", ["-c", "echo $$; exec sleep 600"], { stdout: "pipe", noNetwork: true });
      tool.stdout.once("data", (text) => process.stdout.write(String(text)));
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [text] = (await Promise.race([once(parent.stdout, "data"), once(parent, "exit")])) as [Buffer | number];
    const pid = Number(String(text));
    expect(pid).toBeGreaterThan(1);
    const ended = once(parent, "exit");
    parent.kill("SIGKILL");
    await ended;
    expect(await goneWithin(pid, 5000)).toBe(true);
  });
});
