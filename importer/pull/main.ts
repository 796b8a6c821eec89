// Program: pulls an image for the node of embedded mode. A process of its own, since what it reads is a stranger's.
import type { PullAnswer, PullRequest } from "../../src/contract/image-pull.ts";
import { proxySettingsFrom } from "../../src/lib/http.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import { makeLog } from "../../src/telemetry/index.ts";
import { pullImage } from "./pull-image.ts";

await runProgram(async (signal) => {
  const log = makeLog({ name: "cdi-image-pull", verbosity: 1 });
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const request = JSON.parse(Buffer.concat(chunks).toString("utf8")) as PullRequest;
  const answer: PullAnswer = await pullImage(request, { proxy: proxySettingsFrom(process.env), log, signal });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  return "pulled" in answer ? 0 : 1;
});
