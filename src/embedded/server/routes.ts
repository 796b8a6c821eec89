// The one way in: every request of the wire, from its path to its answer.
import type { IncomingMessage, ServerResponse } from "node:http";
import { answerOf, asYaml, json, send, type Answer } from "./answers.ts";
import {
  aggregatedDiscovery,
  apiGroupList,
  apiResourceList,
  apiVersions,
  oneApiGroup,
  versionInfo,
} from "./discovery.ts";
import { remoteGroup, withRemoteDiscovery, withRemoteGroups } from "./aggregation/discovery.ts";
import type { Aggregation } from "./aggregation/index.ts";
import type { AccountTokens } from "./auth/account-tokens.ts";
import { attributesOf, isWatch } from "./auth/attributes.ts";
import { userOf } from "./auth/authenticate.ts";
import { mustBeAllowed } from "./auth/authorize.ts";
import { impersonated } from "./auth/impersonate.ts";
import type { UserInfo } from "./auth/user.ts";
import { methodNotAllowed, noSuchPath } from "./errors.ts";
import { health } from "./health.ts";
import { aggregatedVersion, shapeOf, wantsAggregated, wantsYaml } from "./media.ts";
import { openApiDocument } from "./openapi/document.ts";
import { openApiIndex, openApiV3 } from "./openapi/v3.ts";
import { encodeDocument } from "./openapi/protobuf.ts";
import { targetOf } from "./request.ts";
import { serveLogs } from "./serve-logs.ts";
import { serveResource } from "./serve-resource.ts";
import { streamWatch } from "./watch-stream.ts";
import type { PodLogs } from "../types.ts";
import type { World } from "./world.ts";

export interface Routing {
  world: World;
  logs: PodLogs | undefined;
  tokens: AccountTokens;
  aggregation: Aggregation;
  /** "host:port" as clients see it. */
  readonly address: () => string;
  signal: AbortSignal;
}

export async function route(routing: Routing, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { world } = routing;
  // Split by hand: to URL a path of two slashes would be a host.
  const [pathname = "/", ...rest] = (request.url ?? "/").split("?");
  const searchParams = new URLSearchParams(rest.join("?"));
  try {
    const words = pathname
      .split("/")
      .filter((word) => word !== "")
      .map(decodeURIComponent);
    const user = await callerOf(routing, request);
    mustBeAllowed(world, user, attributesOf(request.method ?? "", pathname, words, searchParams));
    const answer = await answerTo(routing, words, { request, user, query: searchParams }, response);
    if (answer) send(response, wantsYaml(request.headers.accept) ? asYaml(answer) : answer);
  } catch (cause) {
    if (response.headersSent) {
      world.log.warn("Request failed after its answer had begun", { path: pathname, cause });
      response.destroy();
      return;
    }
    send(response, answerOf(cause instanceof URIError ? noSuchPath() : cause, world.log));
  }
}

/** Whoever the request is to be taken for. @throws ApiError 401, 403 */
export async function callerOf(
  { world, tokens }: Pick<Routing, "world" | "tokens">,
  request: IncomingMessage,
): Promise<UserInfo> {
  return impersonated(world, await userOf(request, tokens), request.headersDistinct);
}

/** A request, authenticated and authorized. */
interface Asking {
  readonly request: IncomingMessage;
  readonly user: UserInfo;
  readonly query: URLSearchParams;
}

/** @returns undefined when the answer was streamed */
async function answerTo(
  routing: Routing,
  words: readonly string[],
  { request, user, query }: Asking,
  response: ServerResponse,
): Promise<Answer | undefined> {
  const { world, logs, tokens, aggregation, signal } = routing;
  const remote = words[0] === "apis" ? aggregation.find(words[1] ?? "", words[2] ?? "") : undefined;
  if (remote) {
    await aggregation.pass(remote, request, response, user);
    return undefined;
  }
  const about = aboutServer(routing, words, request, query);
  if (about) return about;
  const inCore = words[0] === "api";
  if (!inCore && words[0] !== "apis") throw noSuchPath();
  const apiVersion = inCore ? (words[1] ?? "") : `${words[1]}/${words[2]}`;
  const target = targetOf(world.registry, apiVersion, words.slice(inCore ? 2 : 3));
  const { resource, namespace = "", name = "", subresource } = target;
  if (subresource === "log" && resource.apiVersion === "v1" && resource.plural === "pods" && request.method === "GET") {
    await serveLogs(logs, { namespace, name }, query, response, signal);
    return undefined;
  }
  if (!isWatch(query) || request.method !== "GET")
    return serveResource({ world, tokens, target, request, user, query });
  streamWatch(world, target, response, { query, shape: shapeOf(request.headers.accept), signal });
  return undefined;
}

/** Health, version, discovery and OpenAPI. */
function aboutServer(
  { world, aggregation, address }: Routing,
  words: readonly string[],
  request: IncomingMessage,
  query: URLSearchParams,
): Answer | undefined {
  const { registry } = world;
  const [root = "", second, third, fourth] = words;
  const depth = words.length;
  const { accept } = request.headers;
  const reading = (): void => {
    if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
  };
  switch (root) {
    case "healthz":
    case "livez":
    case "readyz":
      reading();
      return health(root, words.slice(1), query);
    case "version":
      reading();
      return json(versionInfo);
    case "openapi":
      reading();
      if (second === "v2" && depth === 2) return openApi(world, accept);
      if (second !== "v3") return undefined;
      if (depth === 2) return json(openApiIndex(registry));
      return { code: 200, body: openApiV3(registry, words.slice(2).join("/")) };
    case "api":
      if (depth === 1) return wantsAggregated(accept) ? aggregated(world, true, accept) : json(apiVersions(address()));
      return depth === 2 ? json(apiResourceList(registry, second ?? "")) : undefined;
    case "apis":
      if (depth === 1)
        return wantsAggregated(accept)
          ? aggregated(world, false, accept, aggregation)
          : json(withRemoteGroups(apiGroupList(registry), aggregation.groups()));
      if (depth === 2) {
        const remote = aggregation.groups().find(({ group }) => group === second);
        return json(remote ? remoteGroup(remote) : oneApiGroup(registry, second ?? ""));
      }
      return depth === 3 && fourth === undefined ? json(apiResourceList(registry, `${second}/${third}`)) : undefined;
    case "":
      return json({
        paths: ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"],
      });
    default:
      return undefined;
  }
}

function aggregated(
  { registry }: World,
  core: boolean,
  accept: string | undefined,
  aggregation?: Pick<Aggregation, "groups">,
): Answer {
  const version = aggregatedVersion(accept);
  const own = aggregatedDiscovery(registry, core, version);
  return {
    ...json(withRemoteDiscovery(own, aggregation?.groups() ?? [])),
    media: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  };
}

function openApi({ registry }: World, accept: string | undefined): Answer {
  const document = openApiDocument(registry);
  if (!accept?.includes("proto-openapi")) return json(document);
  return {
    code: 200,
    body: encodeDocument(document),
    media: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
  };
}
