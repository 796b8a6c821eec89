// Answers a registry's 401: basic credentials, or a token fetched from where the registry says. A token is kept until it is
// refused; credentials go to the registry and to the token server it names, never to where a redirect led.
import { Fault } from "../../../src/lib/faults.ts";
import { basicAuth, type Header, type HttpAnswer, type HttpClient } from "../../../src/lib/http.ts";
import { expectStatus } from "../../../src/lib/http.ts";
import { shownUrl } from "../../../src/lib/secret.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { readSmall } from "./store.ts";

const longestToken = 1024 * 1024;

export class Authorization {
  readonly #client: HttpClient;
  readonly #credentials: Credentials | undefined;
  readonly #repository: string;
  #header: Header | undefined;

  constructor(client: HttpClient, credentials: Credentials | undefined, repository: string) {
    this.#client = client;
    this.#credentials = credentials;
    this.#repository = repository;
    if (credentials?.kind === "token") this.#header = ["authorization", `Bearer ${credentials.token.reveal()}`];
  }

  /** Sent with each request. */
  get headers(): readonly Header[] {
    return this.#header ? [this.#header] : [];
  }

  /**
   * @param answer a 401, its body read or destroyed
   * @returns whether asking again makes sense @throws Fault of the token server
   */
  async answerTo(answer: HttpAnswer, asked: string, signal: AbortSignal): Promise<boolean> {
    // A redirect's target does not get to say where credentials go.
    if (URL.parse(answer.url)?.origin !== URL.parse(asked)?.origin) return false;
    const challenges = parseChallenges(answer.headers["www-authenticate"] ?? "");
    const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters["realm"]);
    if (bearer && this.#credentials?.kind !== "token") {
      this.#header = ["authorization", `Bearer ${await this.#fetchToken(bearer, asked, signal)}`];
      return true;
    }
    const before = this.#header?.[1];
    if (!challenges.some(({ scheme }) => scheme === "basic") || this.#credentials?.kind !== "password") return false;
    this.#header = ["authorization", this.#basic() ?? ""];
    return this.#header[1] !== before;
  }

  #basic(): string | undefined {
    const given = this.#credentials;
    return given?.kind === "password" ? basicAuth(given.user, given.password.reveal()) : undefined;
  }

  async #fetchToken({ parameters }: Challenge, asked: string, signal: AbortSignal): Promise<string> {
    const realm = URL.parse(parameters["realm"] ?? "");
    const isPlain = asked.startsWith("http:");
    if (!realm || !(realm.protocol === "https:" || (isPlain && realm.protocol === "http:")) || realm.username) {
      throw new Fault(
        "SourceUnauthorized",
        `the registry names a token server that is not used: ${shownUrl(realm?.href ?? "")}`,
      );
    }
    const { service, scope } = parameters;
    if (service) realm.searchParams.set("service", service);
    realm.searchParams.set("scope", scope || `repository:${this.#repository}:pull`);
    const basic = this.#basic();
    if (this.#credentials?.kind === "password") realm.searchParams.set("account", this.#credentials.user);
    const answer = await this.#client.get(realm.href, {
      signal,
      privateHeaders: basic === undefined ? [] : [["authorization", basic]],
    });
    expectStatus(answer, [200]);
    const bytes = await readSmall(answer.body, longestToken, "the token server's answer");
    return tokenIn(bytes, realm.href);
  }
}

function tokenIn(bytes: Buffer, realm: string): string {
  let said: unknown;
  try {
    said = JSON.parse(bytes.toString("utf8"));
  } catch {
    // The error would quote what may be a token.
  }
  const { token: plain, access_token: ofOauth } = (said ?? {}) as { token?: unknown; access_token?: unknown };
  const token = plain ?? ofOauth;
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new Fault("SourceUnauthorized", `${shownUrl(realm)} answered without a token`);
}
