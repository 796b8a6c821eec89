// Where redirects may lead and what travels along.
import { expect, test } from "vitest";
import { firstHop, isRedirect, maxRedirects, nextHop } from "../../../src/lib/http-redirect.ts";

const hop = (url: string) => firstHop(new URL(url));

test.each([
  { when: "another path of the origin", from: "http://a/x", to: "/y", url: "http://a/y", keeps: true },
  { when: "the scheme rises", from: "http://a/x", to: "https://a/x", url: "https://a/x", keeps: true },
  {
    when: "the scheme rises on other ports",
    from: "http://a:8080/",
    to: "https://a:8443/",
    url: "https://a:8443/",
    keeps: true,
  },
  { when: "the scheme falls", from: "https://a/x", to: "http://a/x", url: "http://a/x", keeps: false },
  { when: "another host", from: "https://a/x", to: "https://b/x", url: "https://b/x", keeps: false },
  { when: "a host below", from: "https://a/x", to: "https://b.a/x", url: "https://b.a/x", keeps: false },
  { when: "another port", from: "https://a/x", to: "https://a:444/x", url: "https://a:444/x", keeps: false },
  { when: "the scheme rises to another host", from: "http://a/", to: "https://b/", url: "https://b/", keeps: false },
  { when: "a fragment is no part of it", from: "http://a/", to: "/y#z", url: "http://a/y", keeps: true },
])("$when", ({ from, to, url, keeps }) => {
  const next = nextHop(hop(from), to);
  expect({ url: next.url.href, keeps: next.keepsPrivate }).toEqual({ url, keeps });
});

test("what was dropped once stays dropped, back at the origin too", () => {
  const away = nextHop(hop("http://a/1"), "http://b/2");
  expect(nextHop(away, "http://a/3").keepsPrivate).toBe(false);
});

test.each([
  { when: "to itself", chain: ["/x"] },
  { when: "in a ring", chain: ["/y", "/z", "/x"] },
])("a loop $when is refused", ({ chain }) => {
  const walk = () => chain.reduce((at, to) => nextHop(at, to), hop("http://a/x"));
  expect(walk).toThrow(expect.objectContaining({ code: "RedirectRefused" }));
});

test("ten hops are followed, an eleventh is not", () => {
  let at = hop("http://a/0");
  for (let count = 1; count <= maxRedirects; count += 1) at = nextHop(at, `/${count}`);
  expect(() => nextHop(at, "/more")).toThrow(expect.objectContaining({ code: "RedirectRefused" }));
});

test.each(["file:///etc/passwd", "ftp://a/", "http://", "gopher:x"])("%s is refused", (to) => {
  expect(() => nextHop(hop("http://a/?key=hidden"), to)).toThrow(expect.objectContaining({ code: "RedirectRefused" }));
  expect(() => nextHop(hop("http://a/?key=hidden"), to)).not.toThrow("hidden");
});

test.each([
  [301, "/x", true],
  [308, "/x", true],
  [300, "/x", false],
  [304, "/x", false],
  [302, undefined, false],
  [200, "/x", false],
])("status %i with Location %s is a redirect: %s", (status, location, is) => {
  expect(isRedirect(status, location)).toBe(is);
});
