// URLs as Go's net/url takes them apart: an address upstream accepted must be accepted here, and the other way round. The
// WHATWG parser differs (it wants a scheme, repairs slashes, and encodes what Go refuses).

export type GoUrl = { ok: true; scheme: string } | { ok: false };

const refused: GoUrl = { ok: false };

/** @returns the lower-case scheme ("" where there is none), or not ok where net/url.Parse fails */
export function parseGoUrl(text: string): GoUrl {
  if (text === "") return { ok: true, scheme: "" };
  // oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return refused;
  const [withoutFragment = "", ...fragment] = text.split("#");
  if (badEscape(fragment.join("#"))) return refused;
  if (withoutFragment.startsWith(":")) return refused;
  const schemed = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(withoutFragment);
  const scheme = schemed?.[1]?.toLowerCase() ?? "";
  const [rest = ""] = withoutFragment.slice(schemed?.[0].length ?? 0).split("?");
  if (!rest.startsWith("/")) {
    if (scheme !== "") return { ok: true, scheme };
    return rest.split("/")[0]?.includes(":") ? refused : { ok: true, scheme };
  }
  if (!rest.startsWith("//")) return badEscape(rest) ? refused : { ok: true, scheme };
  const [authority = "", ...path] = rest.slice(2).split("/");
  return badEscape(path.join("/")) || badAuthority(authority) ? refused : { ok: true, scheme };
}

const badEscape = (text: string): boolean => /%(?![0-9a-fA-F]{2})/.test(text);

function badAuthority(authority: string): boolean {
  const at = authority.lastIndexOf("@");
  if (at >= 0 && !/^[a-zA-Z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) return true;
  if (at >= 0 && badEscape(authority.slice(0, at))) return true;
  const host = authority.slice(at + 1);
  if (host.startsWith("[")) return !/^\[[^\]]*\](:\d*)?$/.test(host);
  if (/%(?!25|[89a-fA-F][0-9a-fA-F])/.test(host)) return true;
  return /[\s\\^`{|}\]/]/.test(host) || /:(?!\d*$)/.test(host);
}
