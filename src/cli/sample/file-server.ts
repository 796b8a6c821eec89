// A small HTTP server that hands out one file, with ranges and a strong validator: the sample's source.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";

export interface FileServerOptions {
  path: string;
  /** Tried first, so that a DataVolume's URL still works after a restart; any free port where it is taken. */
  preferredPort?: number;
  /** Holds the whole server to this rate. */
  bytesPerSecond?: number;
  clock: Clock;
  log: Log;
}
export interface FileServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function serveFile(options: FileServerOptions): Promise<FileServer> {
  const server = createServer((request, response) => {
    respond(request, response, options).catch((cause: unknown) => {
      options.log.debug("The sample's client went away", { cause: String(cause) });
      response.destroy();
    });
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  await listen(options.preferredPort ?? 0).catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EADDRINUSE") throw cause;
    await listen(0);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}/${basename(options.path)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(request: IncomingMessage, response: ServerResponse, options: FileServerOptions): Promise<void> {
  if (request.url !== `/${basename(options.path)}` || request.method !== "GET") {
    response.writeHead(request.method === "GET" ? 404 : 405).end();
    return;
  }
  const { size, mtimeMs } = await stat(options.path);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (start > end) {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return;
  }
  response.writeHead(range ? 206 : 200, {
    "accept-ranges": "bytes",
    etag: `"${size.toString(16)}-${Math.trunc(mtimeMs).toString(16)}"`,
    "content-length": end - start + 1,
    ...(range ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
  });
  const body = createReadStream(options.path, { start, end, highWaterMark: 256 * 1024 });
  if (options.bytesPerSecond === undefined) await pipeline(body, response);
  else await pipeline(body, paced(options.bytesPerSecond, options.clock), response);
}

/** Lets bytes pass no faster than the rate, measured from the first one. */
function paced(bytesPerSecond: number, clock: Clock): Transform {
  const begun = clock.now();
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      const aheadMs = (passed / bytesPerSecond) * 1000 - (clock.now() - begun);
      if (aheadMs <= 0) done(null, chunk);
      else clock.sleep(aheadMs).then(() => done(null, chunk), done);
    },
  });
}
