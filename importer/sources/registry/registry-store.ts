// An image in a registry (distribution API v2): manifests and blobs over HTTPS, or HTTP where the registry is marked insecure.
import type { Readable } from "node:stream";
import { Fault, faultOf } from "../../../src/lib/faults.ts";
import { expectStatus, httpClient, type GetOptions, type HttpAnswer, type HttpClient } from "../../../src/lib/http.ts";
import { contentRange } from "../../../src/lib/http.ts";
import type { Log } from "../../../src/lib/log.ts";
import type { HttpSourceSettings } from "../http.ts";
import { Authorization } from "./authorization.ts";
import type { Credentials } from "./credentials.ts";
import { longestManifest, manifestTypes, type Descriptor } from "./manifest.ts";
import { apiHost, type ImageReference } from "./reference.ts";
import { readSmall, type ImageStore, type RawManifest } from "./store.ts";

export type ConnectionSettings = Pick<
  HttpSourceSettings,
  "ca" | "insecure" | "proxy" | "hosts" | "addresses" | "idleMs"
>;

/** An image's blobs and manifests; nothing is asked yet. */
export function registryStore(
  reference: Extract<ImageReference, { transport: "docker" }>,
  credentials: Credentials | undefined,
  connection: ConnectionSettings,
  log: Log,
): ImageStore {
  return new RegistryStore(reference, credentials, connection, log);
}

class RegistryStore implements ImageStore {
  readonly name: string;
  readonly digest?: string;
  readonly #reference: Extract<ImageReference, { transport: "docker" }>;
  readonly #client: HttpClient;
  readonly #authorization: Authorization;
  readonly #insecure: boolean;
  readonly #log: Log;
  #scheme: "https" | "http" = "https";
  #ranges = false;
  #isKnown = false;

  constructor(
    reference: Extract<ImageReference, { transport: "docker" }>,
    credentials: Credentials | undefined,
    { ca, insecure, proxy, hosts, addresses, idleMs }: ConnectionSettings,
    log: Log,
  ) {
    const { host, repository, tagOrDigest, isDigest } = reference;
    this.name = `docker://${host}/${repository}${isDigest ? "@" : ":"}${tagOrDigest}`;
    if (isDigest) this.digest = tagOrDigest;
    this.#reference = reference;
    this.#insecure = insecure;
    this.#log = log;
    this.#client = httpClient({ ca, insecure, proxy, hosts, addresses, ...(idleMs === undefined ? {} : { idleMs }) });
    this.#authorization = new Authorization(this.#client, credentials, repository);
  }

  get ranges(): boolean {
    return this.#ranges;
  }

  first(signal: AbortSignal): Promise<RawManifest> {
    return this.#manifest(this.#reference.tagOrDigest, signal);
  }

  manifest({ digest }: Descriptor, signal: AbortSignal): Promise<RawManifest> {
    return this.#manifest(digest, signal);
  }

  async #manifest(which: string, signal: AbortSignal): Promise<RawManifest> {
    const answer = await this.#get(`manifests/${which}`, { signal, accept: manifestTypes.join(", ") });
    expectStatus(answer, [200]);
    const bytes = await readSmall(answer.body, longestManifest, "the image manifest");
    return { bytes, mediaType: answer.headers["content-type"] ?? "" };
  }

  async blob({ digest, sizeBytes }: Descriptor, offset: number, signal: AbortSignal): Promise<Readable> {
    // Asked for from the first byte on: the answer tells whether parts can be had.
    const wanted = { signal, range: `bytes=${offset}-`, dropBytes: offset };
    let answer = await this.#get(`blobs/${digest}`, wanted);
    let part = partOf(answer);
    if (answer.status === 206 && (part?.first !== offset || part.last + 1 !== sizeBytes)) {
      answer.body.destroy();
      answer = await this.#get(`blobs/${digest}`, { signal, dropBytes: offset });
      part = undefined;
    }
    expectStatus(answer, part ? [206] : [200]);
    this.#ranges = part !== undefined;
    return answer.body;
  }

  async readBlob({ digest }: Descriptor, offset: number, into: Buffer, signal: AbortSignal): Promise<void> {
    const last = offset + into.length - 1;
    const answer = await this.#get(`blobs/${digest}`, { signal, range: `bytes=${offset}-${last}` });
    expectStatus(answer, [206]);
    const part = partOf(answer);
    if (part?.first !== offset || part.last !== last) {
      answer.body.destroy();
      throw new Fault("SourceSizeUnknown", `${this.name} was asked for a part of a layer and sent another one`);
    }
    let got = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) got += chunk.copy(into, got);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #get(path: string, options: GetOptions): Promise<HttpAnswer> {
    if (this.#isKnown || !this.#insecure) return await this.#ask(path, options);
    try {
      return await this.#ask(path, options);
    } catch (cause) {
      const fault = faultOf(cause);
      if (options.signal.aborted || this.#isKnown || !unreached.includes(fault.code)) throw cause;
      this.#log.warn("Trying plain HTTP, as the registry is marked insecure", { registry: this.#reference.host });
      this.#scheme = "http";
      return await this.#ask(path, options).catch((second: unknown) => {
        this.#scheme = "https";
        throw fault.code === "TlsFailed" ? second : cause;
      });
    }
  }

  /** Once more after a 401 that can be answered. */
  async #ask(path: string, options: GetOptions): Promise<HttpAnswer> {
    const { host, repository } = this.#reference;
    const url = `${this.#scheme}://${apiHost(host)}/v2/${repository}/${path}`;
    const get = (): Promise<HttpAnswer> =>
      this.#client.get(url, { ...options, privateHeaders: this.#authorization.headers });
    const answer = await get();
    this.#isKnown = true;
    if (answer.status !== 401) return answer;
    answer.body.destroy();
    return (await this.#authorization.answerTo(answer, url, options.signal)) ? await get() : answer;
  }
}

/** What speaks for a registry without TLS. */
const unreached: readonly string[] = ["TlsFailed", "ConnectionFailed", "SourceCut"];

const partOf = (answer: HttpAnswer): ReturnType<typeof contentRange> =>
  answer.status === 206 ? contentRange(answer.headers["content-range"]) : undefined;
