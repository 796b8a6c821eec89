// A Kubernetes API spoken to as plainly as can be: HTTPS and JSON, by what a kubeconfig says.
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { parse } from "yaml";

export interface Reply {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** undefined where the text is no JSON. */
  readonly body: Record<string, unknown> | undefined;
}
export interface Ask {
  readonly method: string;
  readonly path: string;
  /** Sent as JSON unless it is a text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface Api {
  /** The 26 of "1.26". */
  readonly minor: number;
  send(ask: Ask): Promise<Reply>;
  /** Lines of a watch until the server ends it, or until `enough` says so. */
  watch(path: string, enough?: (lines: WatchLine[]) => boolean): Promise<WatchLine[]>;
  close(): void;
}
export interface WatchLine {
  readonly type: string;
  readonly object: Record<string, unknown> & { metadata?: Record<string, unknown> };
}

interface Credentials {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}
interface Kubeconfig {
  "current-context": string;
  contexts: { name: string; context: { cluster: string; user: string } }[];
  clusters: { name: string; cluster: Record<string, string | boolean> }[];
  users: { name: string; user: Record<string, string> }[];
}

async function connection(file: string): Promise<{ url: string; options: Credentials; token: string | undefined }> {
  const config = parse(await readFile(file, "utf8")) as Kubeconfig;
  const context = config.contexts.find(({ name }) => name === config["current-context"])?.context;
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster ?? {};
  const user = config.users.find(({ name }) => name === context?.user)?.user ?? {};
  const bytes = async (fields: Record<string, unknown>, name: string): Promise<Buffer | undefined> => {
    const [inline, path] = [fields[`${name}-data`], fields[name]];
    if (typeof inline === "string") return Buffer.from(inline, "base64");
    return typeof path === "string" ? await readFile(path) : undefined;
  };
  const [ca, cert, key] = [
    await bytes(cluster, "certificate-authority"),
    await bytes(user, "client-certificate"),
    await bytes(user, "client-key"),
  ];
  const parts = { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
  return { url: String(cluster["server"]), options: parts, token: user["token"] };
}

/** @throws Error when the server does not answer */
export async function openApi(kubeconfigFile: string): Promise<Api> {
  const { url, options, token } = await connection(kubeconfigFile);
  const agent = new Agent({ keepAlive: true, ...options });
  const send: Api["send"] = ({ method, path, body, headers }) =>
    new Promise((resolve, reject) => {
      const bytes =
        body === undefined ? undefined : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      const call = request(`${url}${path}`, {
        method,
        agent,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          accept: "application/json",
          ...(bytes ? { "content-type": "application/json", "content-length": String(bytes.length) } : {}),
          ...headers,
        },
      });
      call.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response
          .on("error", reject)
          .on("end", () =>
            resolve({ code: response.statusCode ?? 0, headers: response.headers, text, body: objectIn(text) }),
          );
      });
      call.on("error", reject).end(bytes);
    });
  const watch: Api["watch"] = (path, enough) =>
    new Promise((resolve, reject) => {
      const lines: WatchLine[] = [];
      const call = request(`${url}${path}`, {
        agent: false,
        ...options,
        headers: { accept: "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      });
      call.on("response", (response) => {
        let rest = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          const whole = (rest + chunk).split("\n");
          rest = whole.pop() ?? "";
          for (const line of whole) if (line !== "") lines.push(JSON.parse(line) as WatchLine);
          if (enough?.(lines)) {
            resolve(lines);
            call.destroy();
          }
        });
        response.on("end", () => resolve(lines));
        response.on("error", (cause) => (enough?.(lines) ? resolve(lines) : reject(cause)));
      });
      call.on("error", (cause) => (enough?.(lines) ? resolve(lines) : reject(cause))).end();
    });
  const version = (await send({ method: "GET", path: "/version" })).body;
  const minor = Number.parseInt(String(version?.["minor"]), 10);
  return { minor, send, watch, close: () => agent.destroy() };
}

function objectIn(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}
