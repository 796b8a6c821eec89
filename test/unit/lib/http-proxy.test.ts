// http_proxy, https_proxy and no_proxy mean what they mean to Go.
import { expect, test } from "vitest";
import { proxyFor, proxySettingsFrom } from "../../../src/lib/http-proxy.ts";

const http = "http://user:pw@proxy:3128";
const https = "https://sproxy";
const via = (url: string, noProxy = ""): string | undefined => proxyFor(new URL(url), { http, https, noProxy })?.host;

test.each([
  { when: "http goes through the http proxy", url: "http://a.example/", noProxy: "", host: "proxy:3128" },
  { when: "https goes through the https proxy", url: "https://a.example/", noProxy: "", host: "sproxy" },
  { when: "localhost never does", url: "http://localhost:8080/", noProxy: "", host: undefined },
  { when: "a loopback address never does", url: "http://127.3.2.1/", noProxy: "", host: undefined },
  { when: "the IPv6 loopback never does", url: "http://[::1]:80/", noProxy: "", host: undefined },
  { when: "* exempts all", url: "http://a.example/", noProxy: "x, *", host: undefined },
  { when: "a name exempts itself", url: "http://a.example/", noProxy: "a.example", host: undefined },
  { when: "a name exempts what is below", url: "http://b.a.example/", noProxy: "a.example", host: undefined },
  { when: "a name is no text suffix", url: "http://ba.example/", noProxy: "a.example", host: "proxy:3128" },
  { when: "a leading dot exempts what is below", url: "http://b.a.example/", noProxy: ".a.example", host: undefined },
  { when: "a leading dot does not exempt itself", url: "http://a.example/", noProxy: ".a.example", host: "proxy:3128" },
  { when: "*. is a leading dot", url: "http://b.a.example/", noProxy: "*.a.example", host: undefined },
  { when: "case does not matter", url: "http://A.example/", noProxy: " A.EXAMPLE ", host: undefined },
  { when: "a port must be the same", url: "http://a.example:81/", noProxy: "a.example:80", host: "proxy:3128" },
  { when: "the scheme's own port counts", url: "https://a.example/", noProxy: "a.example:443", host: undefined },
  { when: "an address exempts itself", url: "http://10.1.2.3/", noProxy: "10.1.2.3", host: undefined },
  { when: "an address with a port", url: "http://10.1.2.3:81/", noProxy: "10.1.2.3:81", host: undefined },
  { when: "a CIDR exempts what it holds", url: "http://10.1.2.3/", noProxy: "10.0.0.0/8", host: undefined },
  { when: "a CIDR exempts nothing else", url: "http://11.1.2.3/", noProxy: "10.0.0.0/8", host: "proxy:3128" },
  { when: "a CIDR does not look at names", url: "http://a.example/", noProxy: "0.0.0.0/0", host: "proxy:3128" },
  { when: "an IPv6 CIDR", url: "http://[fd00::1]/", noProxy: "fd00::/8", host: undefined },
  {
    when: "an IPv6 address in brackets with a port",
    url: "http://[fd00::1]/",
    noProxy: "[fd00::1]:80",
    host: undefined,
  },
  { when: "junk exempts nothing", url: "http://a.example/", noProxy: ",/,10.0.0.0/99,:80", host: "proxy:3128" },
])("$when", ({ url, noProxy, host }) => {
  expect(via(url, noProxy)).toBe(host);
});

test("a proxy without a scheme is an http one", () => {
  expect(proxyFor(new URL("http://a.example/"), { http: "proxy.example:3128" })?.href).toBe(
    "http://proxy.example:3128/",
  );
});

test.each(["socks5://p:1", "http://:80", "ftp://p"])("%s is refused without quoting it", (text) => {
  const act = () => proxyFor(new URL("http://a.example/"), { http: text });
  expect(act).toThrow(expect.objectContaining({ code: "ConfigInvalid" }));
  expect(act).not.toThrow(text);
});

test("the lower-case variables win", () => {
  expect(proxySettingsFrom({ HTTP_PROXY: "A", http_proxy: "b", HTTPS_PROXY: "C", no_proxy: "d" })).toEqual({
    http: "b",
    https: "C",
    noProxy: "d",
  });
});
