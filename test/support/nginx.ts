// A real nginx on loopback over one folder, for tests; stopped when the test ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { findTool } from "../../src/datapath/index.ts";
import { makeFolder, type AtEnd } from "./loop.ts";

/** Why nginx tests cannot run here; undefined when they can. CI has it installed by `npm test`. */
export const noNginx: string | undefined = findTool("nginx")
  ? undefined
  : "nginx is not installed (Debian package nginx-light)";

/**
 * @param accessLog gets a line per request as it ends: its status, and the bytes that nginx handed to the socket, head and body
 * @param more lines for the server, such as a port with TLS
 * @returns the URL of the folder, without a slash at the end
 */
export async function startNginx(folder: string, atEnd: AtEnd, accessLog?: string, more = ""): Promise<string> {
  const work = await makeFolder("cdi-nginx-", atEnd);
  const port = await freePort();
  const config = join(work, "nginx.conf");
  await mkdir(join(work, "temp"));
  const log = accessLog ? `log_format sent "$status $bytes_sent"; access_log ${accessLog} sent;` : "access_log off;";
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${work}/temp;`);
  await writeFile(
    config,
    [
      `${process.getuid?.() === 0 ? "user root;" : ""} daemon off; worker_processes 1; pid ${work}/pid; error_log stderr crit;`,
      `events { worker_connections 128; }`,
      `http { ${log} sendfile on; types {} default_type application/octet-stream; ${temp.join(" ")}`,
      `server { listen 127.0.0.1:${port}; root ${folder}; ${more} } }`,
    ].join("\n"),
  );
  const child = spawn(findTool("nginx") ?? "nginx", ["-p", work, "-c", config], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = once(child, "exit");
  atEnd(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  await untilAnswers(port, () => child.exitCode !== null);
  return `http://127.0.0.1:${port}`;
}

/** Free a moment ago. */
export async function freePort(): Promise<number> {
  const server: Server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilAnswers(port: number, isOver: () => boolean): Promise<void> {
  for (;;) {
    if (isOver()) throw new Error("nginx ended before it answered");
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    await pause(20);
  }
}
