// What Go's net/url.Parse says of odd addresses.
import { expect, test } from "vitest";
import { parseGoUrl } from "../../../../src/api/checks/go-url.ts";

test.each<[string, string]>([
  ["http://server.test/a%20b?x=%zz#f", "http"],
  ["HTTP://server.test", "http"],
  ["http://user:pa%40ss@server.test:8080/", "http"],
  ["http://[::1]:80/a", "http"],
  ["http://server.test:/a", "http"],
  ["http://", "http"],
  ["oci-archive:/a/b.tar", "oci-archive"],
  ["docker:quay.test/a:1", "docker"],
  ["server.test/disk", ""],
  ["/a/b:c", ""],
  ["", ""],
])("%j has scheme %j", (text, scheme) => {
  expect(parseGoUrl(text)).toEqual({ ok: true, scheme });
});

test.each([
  ["a blank in the host", "http://a b/"],
  ["a port that is no number", "http://server.test:abc/"],
  ["a bad escape in the path", "http://server.test/%zz"],
  ["a bad escape in the fragment", "http://server.test/#%zz"],
  ["a bad escape in the host", "http://%zz/"],
  ["a line break", "http://server.test/\n"],
  ["no scheme before the colon", "://server.test"],
  ["a colon in the first segment", "1http:server"],
  ["an open bracket", "http://[::1/"],
  ["a bad user", "http://us er@server.test/"],
])("%s does not parse", (_when, text) => {
  expect(parseGoUrl(text)).toEqual({ ok: false });
});
