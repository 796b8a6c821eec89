// The address policy where connections are made: spellings in URLs, redirects, names that resolve inside, names that resolve
// otherwise the second time, proxies. Names are looked up in a table of the test; servers are real and local.
import { describe, expect, onTestFinished, test } from "vitest";
import { addressPolicy, httpClient, type Hosts, type HttpOptions } from "../../../src/lib/http.ts";
import { startHttpServer } from "../../support/http-server.ts";

const inPod = addressPolicy({ inPod: true });
const files = { "/disk.img": Buffer.alloc(4096, 7) };

async function outcomeOf(url: string, options: HttpOptions = {}): Promise<string> {
  // What is not refused must fail by itself soon: nothing here leads out of the machine.
  const client = httpClient({ addresses: inPod, connectTimeoutMs: 2000, ...options });
  onTestFinished(() => client.close());
  try {
    const answer = await client.get(url, { signal: AbortSignal.timeout(20_000) });
    answer.body.destroy();
    return String(answer.status);
  } catch (cause) {
    return (cause as { code?: string }).code ?? String(cause);
  }
}

/** One name, and what it resolves to at each look-up, the last for all later ones. */
const resolving = (...turns: readonly (readonly string[])[]): Hosts & { asked: () => number } => {
  let at = 0;
  const hosts = (name: string): readonly string[] | undefined => {
    if (name !== "images.test") return undefined;
    at += 1;
    return turns[Math.min(at, turns.length) - 1];
  };
  return Object.assign(hosts, { asked: () => at });
};

describe("spelt in the URL", () => {
  test.each([
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://169.254.169.254./",
    "http://１６９.２５４.１６９.２５４/",
    "http://169。254。169。254/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://user@169.254.169.254/",
    "http://images.test@169.254.169.254/",
    "http://images.test:80@169.254.169.254/",
    "http:\\\\169.254.169.254\\",
    "http:169.254.169.254/",
    "https://169.254.169.254/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://[::1]/",
    "http://[::]/",
    "http://0/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://168.63.129.16/",
    "http://100.100.100.200/",
  ])("%s is refused", async (url) => {
    expect(await outcomeOf(url)).toBe("AddressDenied");
  });
});

describe("looked up", () => {
  test.each([
    { when: "a name for the metadata service", hosts: resolving(["169.254.169.254"]) },
    { when: "a name for the loopback", hosts: resolving(["127.0.0.1"]) },
    { when: "a name for both kinds of it", hosts: resolving(["127.0.0.1", "::1"]) },
    { when: "a name for a mapped address", hosts: resolving(["::ffff:169.254.169.254"]) },
    { when: "a name for a translated address", hosts: resolving(["64:ff9b::a9fe:a9fe"]) },
  ])("$when is refused", async ({ hosts }) => {
    expect(await outcomeOf("http://images.test/disk.img", { hosts })).toBe("AddressDenied");
  });

  test("of a name's addresses only those are tried that may be", async () => {
    const server = await startHttpServer({ files, host: "127.0.0.2" });
    const { port } = new URL(server.url("/"));
    const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2" });
    const hosts = resolving(["169.254.169.254", "127.0.0.2"]);
    expect(await outcomeOf(`http://images.test:${port}/disk.img`, { hosts, addresses })).toBe("200");
  });

  test("a name that resolves inside the second time gets nowhere: each connection asks anew", async () => {
    const server = await startHttpServer({ files, host: "127.0.0.2" });
    const { port } = new URL(server.url("/"));
    const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2" });
    const hosts = resolving(["127.0.0.2"], ["127.0.0.1"]);
    const url = `http://images.test:${port}/disk.img`;
    const first = httpClient({ addresses, hosts });
    onTestFinished(() => first.close());
    const signal = AbortSignal.timeout(10_000);
    const answer = await first.get(url, { signal });
    // Its connection stays busy with a body nobody reads, so that the next request needs one of its own.
    await expect(first.get(url, { signal })).rejects.toMatchObject({ code: "AddressDenied" });
    answer.body.destroy();
    expect(hosts.asked()).toBe(2);
  });
});

describe("redirected", () => {
  const targets = [
    "http://169.254.169.254/",
    "http://2852039166/",
    "//169.254.169.254/x",
    "\\\\169.254.169.254/x",
    "/\\169.254.169.254/x",
    "http://[::ffff:169.254.169.254]/",
    "http://127.0.0.1:1/",
    "https://localhost/",
    "http://images.test/",
    "HTTP://0xA9FEA9FE/",
  ];
  test.each(targets)("to %s is refused", async (location) => {
    const server = await startHttpServer({ files, host: "127.0.0.2", redirects: { "/start": location } });
    const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2" });
    const hosts = resolving(["169.254.169.254"]);
    expect(await outcomeOf(server.url("/start"), { addresses, hosts })).toBe("AddressDenied");
  });

  test.each(["file:///etc/passwd", "ftp://127.0.0.2/x", "data:text/plain,x", "javascript:1", "gopher://x/", "http://"])(
    "to %s is no download",
    async (location) => {
      const server = await startHttpServer({ files, host: "127.0.0.2", redirects: { "/start": location } });
      const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2" });
      expect(await outcomeOf(server.url("/start"), { addresses })).toBe("RedirectRefused");
    },
  );

  test("to a neighbour that may be is followed", async () => {
    const neighbour = await startHttpServer({ files, host: "127.0.0.3" });
    const redirects = { "/start": neighbour.url("/disk.img") };
    const server = await startHttpServer({ files, host: "127.0.0.2", redirects });
    const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2/31" });
    expect(await outcomeOf(server.url("/start"), { addresses })).toBe("200");
  });
});

describe("an honest neighbour of what is refused", () => {
  const addresses = addressPolicy({ inPod: true, rules: "allow:127.0.0.2/31" });

  test.each([
    "http://127.0.0.2",
    "http://127.2",
    "http://2130706434",
    "http://0x7f000002",
    "http://0177.0.0.02",
    "http://127.0.0.2.",
    "http://１２７.０.０.２",
    "http://user@127.0.0.2",
    "HTTP://127.0.0.2",
  ])("%s is asked", async (origin) => {
    const server = await startHttpServer({ files, host: "127.0.0.2" });
    const { port } = new URL(server.url("/"));
    expect(await outcomeOf(`${origin}:${port}/disk.img`, { addresses })).toBe("200");
  });

  test.each([
    { to: () => "/disk.img", what: "a path" },
    { to: () => "disk.img", what: "a path beside it" },
    { to: () => "./x/../disk.img", what: "a path with steps" },
    { to: (port: string) => `//127.0.0.2:${port}/disk.img`, what: "the same scheme" },
    { to: (port: string) => `\\\\127.0.0.2:${port}/disk.img`, what: "the same scheme, spelt with backslashes" },
    { to: (port: string) => `HTTP://2130706434:${port}/disk.img`, what: "the address as one number" },
    { to: (port: string) => `http://images.test:${port}/disk.img`, what: "a name for it" },
    { to: (port: string) => `http://127.0.0.2:${port}/disk.img#part`, what: "a fragment" },
  ])("a redirect to $what is followed", async ({ to }) => {
    const other = await startHttpServer({ files, host: "127.0.0.2" });
    const redirects = { "/start": to(new URL(other.url("/")).port) };
    const server = await startHttpServer({ files, host: "127.0.0.2", redirects });
    const hosts = resolving(["127.0.0.2"]);
    expect(await outcomeOf(server.url("/start"), { addresses, hosts })).toBe("200");
  });
});

describe("through a proxy", () => {
  test("the proxy's own address is asked about", async () => {
    expect(await outcomeOf("http://images.test/", { proxy: { http: "http://169.254.169.254:3128" } })).toBe(
      "AddressDenied",
    );
  });
  test("for https too", async () => {
    expect(await outcomeOf("https://images.test/", { proxy: { https: "http://169.254.169.254:3128" } })).toBe(
      "AddressDenied",
    );
  });
});
