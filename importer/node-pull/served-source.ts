// The disk as the server in the image hands it out: an http source under the name the ready file told, known by what the server
// says of the file, with the image's labels.
import { infoPath } from "../../src/contract/node-pull.ts";
import type { Source } from "../../src/datapath/index.ts";
import { seconds } from "../../src/lib/duration.ts";
import { Fault } from "../../src/lib/faults.ts";
import { expectStatus, type HttpClient } from "../../src/lib/http.ts";
import type { Log } from "../../src/lib/log.ts";
import { aroundSource } from "../around-source.ts";
import { labelsFromEnv } from "../sources/registry/labels.ts";
import type { ServerReady } from "./ready.ts";

export interface Served {
  /** Where the disk is read. */
  readonly url: string;
  /** For the claim. */
  readonly labels: Readonly<Record<string, string>>;
  /** Another one means another file, whatever its name. */
  readonly mark: string;
}

/** No environment of an image is larger. */
const infoLimitBytes = 1024 * 1024;

/**
 * @param endpoint as the pod was told: its trailing "disk.img" stands for the file's name
 * @returns without labels where the server does not tell its environment, as those of v1.56
 * @throws the signal's reason
 */
export async function askServer(
  endpoint: string,
  { fileName, since }: ServerReady,
  client: HttpClient,
  log: Log,
  signal: AbortSignal,
): Promise<Served> {
  const url = endpoint.replace(/disk\.img$/, () => encodeURIComponent(fileName));
  const limit = AbortSignal.any([signal, AbortSignal.timeout(seconds(30))]);
  try {
    const info = await infoOf(new URL(infoPath, url).href, client, limit);
    const env = Array.isArray(info["env"]) ? info["env"].filter((line) => typeof line === "string") : [];
    const file = info["file"];
    return { url, labels: labelsFromEnv(env), mark: typeof file === "string" ? file : since };
  } catch (cause) {
    signal.throwIfAborted();
    log.warn("The image server does not tell its environment: no labels come from it", { error: cause });
    return { url, labels: {}, mark: since };
  }
}

async function infoOf(url: string, client: HttpClient, signal: AbortSignal): Promise<Record<string, unknown>> {
  const answer = await client.get(url, { signal });
  try {
    expectStatus(answer, [200]);
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > infoLimitBytes)
        throw new Fault("SourceRefused", `${infoPath} is longer than ${infoLimitBytes} bytes`);
      parts.push(Buffer.from(part));
    }
    const value: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } finally {
    answer.body.destroy();
  }
}

/**
 * The address is the same for every image, and two may hold files of one name, size and date: what was begun is gone on with
 * only while the server says that it is the same file.
 */
export const servedSource = (source: Source, { labels, mark }: Served): Source =>
  aroundSource(source, {
    ...(source.identity === undefined ? {} : { identity: `${source.identity} ${mark}` }),
    labels: () => labels,
  });
