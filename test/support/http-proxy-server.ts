// A real forward proxy on loopback: plain http by absolute URL, https by CONNECT, optional Basic auth and TLS. Every name
// resolves to 127.0.0.1, so that tests can use hosts such as "source.cdi.test" that no_proxy does not exempt by itself.
import { once } from "node:events";
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type AddressInfo, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface ProxyOptions {
  readonly auth?: { readonly user: string; readonly password: string };
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Answered to every CONNECT. */
  readonly refuse?: number;
}

export interface ProxyTestServer {
  readonly port: number;
  /** "GET http://host:port/path" or "CONNECT host:port", one for each request let through or refused. */
  readonly seen: string[];
}

/** Closed by itself at the test's end. */
export async function startProxyServer(options: ProxyOptions = {}): Promise<ProxyTestServer> {
  const sockets = new Set<Socket>();
  const seen: string[] = [];
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket));
  };
  const isAllowed = ({ headers }: IncomingMessage): boolean => {
    const { auth } = options;
    if (!auth) return true;
    const wanted = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString("base64")}`;
    return headers["proxy-authorization"] === wanted;
  };
  const forward = (request: IncomingMessage, response: ServerResponse): void => {
    seen.push(`${request.method} ${request.url}`);
    if (!isAllowed(request)) return void response.writeHead(407).end();
    const { pathname, search, port } = new URL(request.url ?? "");
    const { "proxy-authorization": _, ...headers } = request.headers;
    ask({ host: "127.0.0.1", port, path: pathname + search, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    })
      .on("error", () => response.destroy())
      .end();
  };
  const listener = options.tls
    ? createTlsServer({ cert: options.tls.certificate, key: options.tls.key }, forward)
    : createServer(forward);
  listener.on("connection", keep);
  listener.on("connect", (request: IncomingMessage, client: Socket) => {
    seen.push(`CONNECT ${request.url}`);
    keep(client);
    const refusal = options.refuse ?? (isAllowed(request) ? undefined : 407);
    if (refusal) return void client.end(`HTTP/1.1 ${refusal} Refused\r\nContent-Length: 0\r\n\r\n`);
    const upstream = connect(Number(new URL(`http://${request.url}`).port), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
    keep(upstream);
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroy());
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await once(listener.close(), "close");
  });
  return { port: (listener.address() as AddressInfo).port, seen };
}
