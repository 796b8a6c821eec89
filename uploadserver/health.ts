// The plain health endpoint that a v1.56 controller's probe asks: its TLS port lets nobody in without a certificate.
import { createServer } from "node:http";

/** @returns what ends it @throws the listener's error */
export async function serveHealth(host: string, port: number): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    request.resume();
    const isHealth = (request.url ?? "").split("?")[0] === "/healthz";
    response.writeHead(isHealth ? 200 : 404).end(isHealth ? "OK" : "");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}
