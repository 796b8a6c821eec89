// A real browser uploads a file by tus-js-client from a page of a site of its own, pauses once and goes on.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import puppeteer from "puppeteer-core";

const chromium = "/usr/bin/chromium";
/** Where CI runs a missing browser is a failure, not a reason to skip. For `test.skipIf(noBrowser)`. */
export const noBrowser = !existsSync(chromium) && !process.env["CI"];

export interface TusPage {
  /** Path of the file. */
  readonly file: string;
  /** URL of the tus route. */
  readonly endpoint: string;
  readonly chunkBytes: number;
  /** The first chunk that ends here or behind is followed by a pause. */
  readonly pauseAtBytes: number;
  /** Asked before each request, as a page asks its own server. Default: no token is sent. */
  readonly token?: () => Promise<string>;
}

/** @returns how often it paused, and the bytes that were done after each chunk. @throws what tus-js-client fails with */
export async function uploadFromPage(wanted: TusPage): Promise<{ pauses: number; seen: number[] }> {
  const script = createRequire(import.meta.url).resolve("tus-js-client/dist/tus.min.js");
  const files: Record<string, Buffer> = {
    "/": Buffer.from('<!doctype html><title>upload</title><script src="/tus.js"></script><input type="file">'),
    "/tus.js": await readFile(script),
  };
  const site = createServer((asked, response) => {
    void (async () => {
      const body = asked.url === "/token" ? await wanted.token?.() : files[asked.url ?? ""];
      response.writeHead(body ? 200 : 404, { "content-type": asked.url === "/" ? "text/html" : "text/javascript" });
      response.end(body);
    })();
  });
  await once(site.listen(0, "127.0.0.1"), "listening");
  const browser = await puppeteer.launch({
    executablePath: chromium,
    acceptInsecureCerts: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
    const input = await page.$("input[type=file]");
    await input?.uploadFile(wanted.file);
    return (await page.evaluate(storyOf(wanted))) as { pauses: number; seen: number[] };
  } finally {
    await browser.close();
    await new Promise((resolve) => site.close(resolve));
  }
}

/** Runs in the page, whose words are not this project's: handed over as text. */
const storyOf = ({ endpoint, chunkBytes, pauseAtBytes, token }: TusPage): string => `new Promise((resolve, reject) => {
  const seen = [];
  let pauses = 0;
  const upload = new tus.Upload(document.querySelector("input").files[0], {
    endpoint: ${JSON.stringify(endpoint)},
    chunkSize: ${chunkBytes},
    retryDelays: [50, 200, 1000, 3000],
    onBeforeRequest: async (asked) => {
      if (${token !== undefined})
        asked.setHeader("Authorization", "Bearer " + (await (await fetch("/token")).text()));
    },
    onError: (cause) => reject(new Error(String(cause))),
    onSuccess: () => resolve({ pauses, seen }),
    onChunkComplete: async (size, done) => {
      seen.push(done);
      if (done < ${pauseAtBytes} || pauses > 0) return;
      pauses += 1;
      await upload.abort();
      upload.start();
    },
  });
  upload.start();
})`;
