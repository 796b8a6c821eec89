// The scan finds what it is to find, in each of its forms; the watch beside a cluster finds it in each of its places.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeFolder } from "../../support/loop.ts";
import { markedSecret, markSightings, sightingsIn } from "../../support/secret-scan.ts";
import { watchForSecrets } from "../../support/secret-watch.ts";

const secret = markedSecret("unit");
test.each([
  { form: "plain", text: `password=${secret}` },
  { form: "a Basic header", text: `Basic ${Buffer.from(`user:${secret}`).toString("base64")}` },
  { form: "another Basic header", text: `Basic ${Buffer.from(`me:${secret}`).toString("base64")}` },
  { form: "a third Basic header", text: `Basic ${Buffer.from(`adm:${secret}`).toString("base64")}` },
  { form: "a URL", text: `http://u:${encodeURIComponent(secret)}@host/` },
])("$form", ({ text }) => {
  expect(sightingsIn("here", text, [secret])).toEqual([{ where: "here", secret }]);
  expect(markSightings(text)).toEqual(["a marked secret"]);
});
test("another secret is not this one", () => {
  expect(sightingsIn("here", markedSecret("other"), [secret])).toEqual([]);
});

test("a signed token is seen too, and plain words are not", () => {
  const part = (claims: object): string => Buffer.from(JSON.stringify(claims)).toString("base64url");
  const token = `${part({ alg: "PS256" })}.${part({ params: { uid: "1" } })}.${"s".repeat(40)}`;
  expect(markSightings(`Authorization: Bearer ${token}`)).toEqual(["a token"]);
  expect(markSightings("a secret, a token, and S3CR3 alone")).toEqual([]);
});

describe("the watch beside a cluster", () => {
  /** A program of ours that starts a tool with this argument and environment, and waits for it. */
  async function start(toolArgument: string, toolEnv: Record<string, string>, env: Record<string, string>) {
    const dir = await makeFolder();
    await mkdir(join(dir, "dist"));
    await mkdir(join(dir, "pods/uid/importer"), { recursive: true });
    const program = join(dir, "dist/importer.js");
    const words = JSON.stringify(["-c", "read -r go", "sh", toolArgument]);
    const call = `spawn("sh", ${words}, { env: ${JSON.stringify(toolEnv)} })`;
    await writeFile(
      program,
      `const { spawn } = require("node:child_process");
      const tool = ${call};
      tool.once("spawn", () => console.log("ready"));
      process.stdin.on("end", () => tool.kill("SIGKILL")).resume();`,
    );
    const child = spawn(process.execPath, [program], { env, stdio: ["pipe", "pipe", "inherit"] });
    onTestFinished(async () => {
      child.stdin.end();
      await once(child, "exit");
    });
    await once(child.stdout, "data");
    return { dir, log: join(dir, "pods/uid/importer/0.log") };
  }
  const marked = { SECRET: secret };

  test("nothing is found where nothing is; a program's own environment may hold a secret", async () => {
    const { dir, log } = await start("", {}, marked);
    await writeFile(log, "all is well\n");
    const watch = watchForSecrets(dir, process.pid);
    expect(() => watch.end([{ where: "events", text: "[]" }])).not.toThrow();
  });

  test.each([
    {
      place: "the arguments of a tool",
      argument: secret,
      env: {},
      log: "",
      told: "",
      says: "a marked secret in arguments of ",
    },
    {
      place: "the environment of a tool",
      argument: "",
      env: marked,
      log: "",
      told: "",
      says: "a marked secret in the environment of ",
    },
    { place: "a log", argument: "", env: {}, log: `password=${secret}`, told: "", says: "a marked secret in /" },
    { place: "an event", argument: "", env: {}, log: "", told: secret, says: "a marked secret in events" },
  ])("$place", async ({ argument, env, log: line, told, says }) => {
    const { dir, log } = await start(argument, env, {});
    await writeFile(log, line);
    const watch = watchForSecrets(dir, process.pid);
    let said = "";
    try {
      watch.end([{ where: "events", text: told }]);
    } catch (cause) {
      said = String(cause);
    }
    expect(said).toContain(says);
    expect(said).not.toContain(secret);
  });
});
