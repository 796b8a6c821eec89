// Answers over HTTP: JSON bodies, Status for refusals, Warning headers.
import type { ServerResponse } from "node:http";
import { stringify as stringifyYaml } from "yaml";
import { KubeError } from "../../kube/index.ts";
import type { Log } from "../../lib/log.ts";
import { statusOf } from "./errors.ts";

export interface Answer {
  code: number;
  /** JSON text, or bytes of another media type. */
  body: string | Buffer;
  media?: string;
  warnings?: readonly string[];
}

export const json = (value: object, code = 200): Answer => ({ code, body: JSON.stringify(value) });
export const asYaml = (answer: Answer): Answer =>
  answer.media === undefined && typeof answer.body === "string"
    ? { ...answer, body: stringifyYaml(JSON.parse(answer.body)), media: "application/yaml" }
    : answer;
export const plain = (text: string): Answer => ({ code: 200, body: text, media: "text/plain; charset=utf-8" });

export function send(
  response: ServerResponse,
  { code, body, media = "application/json", warnings = [] }: Answer,
): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (warnings.length > 0) response.setHeader("warning", warnings.map(warningHeader));
  response.writeHead(code, {
    "content-type": media,
    "content-length": bytes.length,
    "cache-control": "no-cache, private",
  });
  response.end(bytes);
}

/** RFC 7234 section 5.5: code, agent, quoted text of visible ASCII. */
const warningHeader = (text: string): string =>
  `299 - "${text.replaceAll(/[\\"]/g, "\\$&").replaceAll(/[^\x20-\x7e]/g, "?")}"`;

/** An error as an answer; what is no refusal is logged, for its text says too much or too little to the client. */
export function answerOf(error: unknown, log: Log): Answer {
  if (!(error instanceof KubeError)) log.error("Answering with an internal error", { cause: error });
  const { code, body } = statusOf(error);
  return json(body, code);
}
