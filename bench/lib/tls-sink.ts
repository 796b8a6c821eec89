// Program: the least a receiver can do. TLS with a client certificate, the bytes of one POST taken and dropped, or written to a
// file, then 200. What an upload server is held against, and what stands behind proxies that are compared.
// Arguments: address, port, certificate, key, authority of clients, file ("" to drop the bytes). Prints "ready".
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer, type TLSSocket } from "node:tls";
import { collectNowAndThen } from "../../src/lib/collect-young.ts";

const [address = "", port = "", cert = "", key = "", ca = "", file = ""] = process.argv.slice(2);
const tls = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca), requestCert: true };

function receive(socket: TLSSocket): void {
  let head = "";
  let left: number | undefined;
  const out = file === "" ? undefined : openSync(file, "w");
  const gathered = Buffer.alloc(512 * 1024);
  let filled = 0;
  const write = (): void => {
    if (out !== undefined) writeSync(out, gathered, 0, filled);
    filled = 0;
  };
  socket.on("error", () => undefined); // whoever hangs up is no trouble of a sink
  socket.on("data", (chunk: Buffer) => {
    collectNowAndThen(chunk.length);
    let body = chunk;
    if (left === undefined) {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      left = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      body = Buffer.from(head.slice(end + 4), "latin1");
    }
    left -= body.length;
    if (out !== undefined) {
      if (filled + body.length > gathered.length) write();
      body.copy(gathered, filled);
      filled += body.length;
    }
    if (left > 0) return;
    write();
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  });
  socket.once("close", () => out !== undefined && closeSync(out));
}

const server = createServer({ ...tls, rejectUnauthorized: true, noDelay: true }, receive);
server.listen(Number(port), address, () => process.stdout.write("ready\n"));
