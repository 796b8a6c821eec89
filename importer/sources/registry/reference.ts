// Names of images: `docker://host/repo:tag`, `oci-archive:path:ref`, `docker-archive:path:ref` taken apart, with upstream's texts
// for what cannot be.
import { Fault } from "../../../src/lib/faults.ts";

export type ImageReference =
  | {
      readonly transport: "docker";
      /** host[:port] as written; what is asked is `apiHost`. */
      readonly host: string;
      readonly repository: string;
      /** A tag, or a digest. */
      readonly tagOrDigest: string;
      readonly isDigest: boolean;
    }
  | {
      readonly transport: "oci-archive" | "docker-archive";
      readonly path: string;
      /** Name of one of several images in it. */
      readonly name?: string;
    };

const hub = "docker.io";
const digestPattern = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;

/** @throws Fault ConfigInvalid */
export function parseImageReference(text: string): ImageReference {
  const colon = text.indexOf(":");
  if (colon < 0) throw invalid(`Invalid image name "${text}", expected colon-separated transport:reference`);
  const transport = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (transport === "docker") return dockerReference(rest, text);
  if (transport === "oci-archive" || transport === "docker-archive") {
    const [, path = "", name] = /^([^:]+)(?::(.+))?$/.exec(rest) ?? [];
    if (path === "") throw invalid(`Invalid image name "${text}", a path is missing`);
    return { transport, path, ...(name === undefined ? {} : { name }) };
  }
  throw invalid(`Invalid image name "${text}", unknown transport`);
}

const invalid = (what: string): Fault => new Fault("ConfigInvalid", `Could not parse image: ${what}`);

function dockerReference(rest: string, whole: string): ImageReference {
  if (!rest.startsWith("//")) throw invalid(`docker: image reference ${rest} does not start with //`);
  const [named = "", digest, ...more] = rest.slice(2).split("@");
  const slash = named.indexOf("/");
  const first = slash < 0 ? "" : named.slice(0, slash);
  const hasHost = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const host = hasHost ? first.replace(/^(index|registry-1)\.docker\.io$/, hub) : hub;
  const remainder = hasHost ? named.slice(slash + 1) : named;
  const [path = "", tag, ...tooMany] = remainder.split(":");
  const repository = host === hub && !path.includes("/") ? `library/${path}` : path;
  const isWrong =
    more.length > 0 ||
    tooMany.length > 0 ||
    !/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/.test(host) ||
    repository.length > 255 ||
    !repositoryPattern.test(repository) ||
    (tag !== undefined && !tagPattern.test(tag)) ||
    (digest !== undefined && !digestPattern.test(digest));
  if (isWrong) throw invalid(`invalid reference format in "${whole}"`);
  if (tag !== undefined && digest !== undefined) {
    throw invalid("Docker references with both a tag and digest are currently not supported");
  }
  return {
    transport: "docker",
    host,
    repository,
    tagOrDigest: digest ?? tag ?? "latest",
    isDigest: digest !== undefined,
  };
}

/** The host that answers for a name's host. */
export const apiHost = (host: string): string => (host === hub ? "registry-1.docker.io" : host);
