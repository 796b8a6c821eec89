// The bytes of a file by tus 1.0: in chunks, each with a token of its own, and from where the server says when one breaks off.
import type { FileHandle } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import type { IncomingHttpHeaders } from "node:http";
import { pipeline } from "node:stream/promises";
import { kinds } from "../../api/kinds.ts";
import { isRefusal, type KubeClient } from "../../kube/index.ts";
import { backoffDelay } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { seconds } from "../../lib/duration.ts";
import { Fault, type FaultCode } from "../../lib/faults.ts";
import { connectFault } from "../../lib/http-faults.ts";
import type { About } from "./memory.ts";
import type { Proxy } from "./proxy.ts";
import { phaseOf } from "./target.ts";

export interface SendJob {
  readonly client: KubeClient;
  readonly proxy: Proxy;
  readonly about: About;
  readonly file: FileHandle;
  /** Of an upload begun before. */
  readonly url: string | undefined;
  readonly onUrl: (url: string) => Promise<void>;
  readonly onProgress: (bytes: number) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One request's worth: what is sent again at most when a server is killed. */
export const chunkBytes = 64 * 1024 * 1024;
const readBytes = 1024 * 1024;
const pauses = { baseMs: 500, capMs: seconds(15) };
/** Failures in a row without a byte between them that was never sent before. */
const mostFailures = 20;
/** The server failed with the upload itself, and not something on the way to it. */
const uploadFailed = /^500, Saving stream failed: /;
const answerMs = seconds(120);

/** Trying again changes no certificate. */
const certificateCodes: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "UnknownAuthority",
  "CertificateExpired",
  "CertificateWrongName",
]);

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** @returns bytes sent by this run, and where it began @throws Fault UploadRefused with the answer */
export async function sendByTus(job: SendJob): Promise<{ sizeBytes: number; resumedFrom: number }> {
  const { about, onProgress, signal } = job;
  const { sizeBytes } = about;
  let url = job.url;
  let sent = 0;
  let resumedFrom: number | undefined;
  /** How far it ever came. */
  let furthest = 0;
  /** Of the server, since it came so far. */
  let lastFailure = "";
  for (let failures = 0; ;) {
    const trouble = await round().catch((cause: unknown) => {
      if (signal.aborted || cause instanceof Fault || isRefusal(cause)) throw cause;
      const fault = connectFault(cause, "tls", "the upload proxy");
      if (certificateCodes.has(fault.code)) throw fault;
      return cause instanceof Error ? cause.message : String(cause);
    });
    if (trouble === undefined) return { sizeBytes: sent, resumedFrom: resumedFrom ?? 0 };
    // The answer to the last bytes may be lost; the DataVolume knows.
    if ((await phaseOf(job.client, about)) === "Succeeded") return { sizeBytes: sent, resumedFrom: resumedFrom ?? 0 };
    failures += 1;
    if (failures > mostFailures) throw new Fault("UploadRefused", `the upload does not go on: ${trouble}`);
    await job.clock.sleep(backoffDelay(failures, pauses), signal);

    /** @throws Fault for an answer that will be the same the next time */
    function refusedOrPassing({ status, text }: Answered): string {
      const said = `${status}${text ? `, ${text.trim()}` : ""}`;
      const isRefused = [400, 412, 413, 415].includes(status) || said === lastFailure;
      if (isRefused) throw new Fault("UploadRefused", said);
      if (uploadFailed.test(said)) lastFailure = said;
      return said;
    }

    /** From what the server has to the end. @returns what went wrong and may pass */
    async function round(): Promise<string | undefined> {
      if (url === undefined) {
        const made = await ask(job, job.proxy.endpoint, "POST", {
          "upload-length": sizeBytes,
          "upload-metadata": nameOf(about),
        });
        if (made.status !== 201) return refusedOrPassing(made);
        url = new URL(made.headers.location ?? "", job.proxy.endpoint).href;
        await job.onUrl(url);
      }
      const head = await ask(job, url, "HEAD");
      if (head.status === 404 || head.status === 410) {
        url = undefined;
        return "the server knows of no such upload";
      }
      if (head.status !== 200) return refusedOrPassing(head);
      let offset = Number(head.headers["upload-offset"]);
      resumedFrom ??= offset;
      onProgress(offset);
      while (offset < sizeBytes) {
        const length = Math.min(chunkBytes, sizeBytes - offset);
        const answer = await patch(job, url, offset, length, onProgress);
        if (answer.status !== 204) return refusedOrPassing(answer);
        sent += length;
        offset = Number(answer.headers["upload-offset"]);
        if (offset <= furthest) continue;
        furthest = offset;
        failures = 0;
        lastFailure = "";
      }
      return undefined;
    }
  }
}

const nameOf = ({ path }: About): string =>
  `filename ${Buffer.from(path.slice(path.lastIndexOf("/") + 1)).toString("base64")}`;

const ask = (job: SendJob, url: string, method: string, headers: Record<string, string | number> = {}) =>
  exchange(job, url, method, headers);

function patch(job: SendJob, url: string, offset: number, length: number, onProgress: (bytes: number) => void) {
  const headers = {
    "content-type": "application/offset+octet-stream",
    "upload-offset": offset,
    "content-length": length,
  };
  return exchange(job, url, "PATCH", headers, async function* () {
    for (let at = offset; at < offset + length;) {
      const wanted = Math.min(readBytes, offset + length - at);
      const { buffer, bytesRead } = await job.file.read(Buffer.allocUnsafe(wanted), 0, wanted, at);
      if (bytesRead === 0) throw new Fault("SourceChanged", `${job.about.path} is shorter than it was`);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
      onProgress(at);
    }
  });
}

async function exchange(
  job: SendJob,
  url: string,
  method: string,
  headers: Record<string, string | number>,
  body?: () => AsyncIterable<Buffer>,
): Promise<Answered> {
  const token = await tokenFor(job);
  return await new Promise<Answered>((resolve, reject) => {
    const all = { "tus-resumable": "1.0.0", authorization: `Bearer ${token}`, ...headers };
    const outgoing = httpsRequest(url, { ...job.proxy.tls, method, headers: all, signal: job.signal });
    outgoing.setTimeout(answerMs, () => outgoing.destroy(new Error(`no answer for ${answerMs / 1000} s`)));
    outgoing.once("error", reject);
    outgoing.once("response", (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString("utf8", 0, 4096)));
      answer.once("error", reject);
      answer.once("end", () => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        // What is still to be sent is not wanted.
        if (!outgoing.writableFinished) outgoing.destroy();
      });
    });
    if (!body) return void outgoing.end();
    pipeline(body(), outgoing).catch((cause: unknown) => {
      if (cause instanceof Fault) reject(cause);
    });
  });
}

/** Worth five minutes: one for each request. */
async function tokenFor({ client, about: { namespace, name } }: SendJob): Promise<string> {
  const { apiVersion, kind } = kinds.uploadTokenRequest;
  const metadata = { namespace, generateName: "token-for-cdi-upload-" };
  const answer = await client.create({ apiVersion, kind, metadata, spec: { pvcName: name } }, kinds.uploadTokenRequest);
  const token = (answer["status"] as { token?: unknown } | undefined)?.token;
  if (typeof token !== "string") throw new Fault("UploadRefused", "the upload token API gave no token");
  return token;
}
