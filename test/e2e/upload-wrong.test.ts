// Wrong uploads by curl through the real proxy: what each is answered, that the volume is no worse for it, and that the next try
// succeeds.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { KubeSecret, Pod } from "../../src/api/core.ts";
import { kinds } from "../../src/api/kinds.ts";
import { apiServerIssuer, shortTokenMs, signingKeySecret, uploadClaims } from "../../src/contract/token.ts";
import { uploadClientName } from "../../src/contract/upload-routes.ts";
import { cdiNamespace } from "../../src/embedded/index.ts";
import { seconds } from "../../src/lib/duration.ts";
import { signToken, type KeyedCertificate } from "../../src/pki/index.ts";
import { diskOf, holdsImage } from "../support/cluster.ts";
import {
  bearer,
  curl,
  image,
  mib,
  post,
  readyVolume,
  untilSucceeded,
  useUploadCluster,
  volumeOf,
} from "../support/upload-cluster.ts";
import { authorityNow, certificateNow } from "../support/upload-stand-in.ts";

const run = promisify(execFile);
const on = useUploadCluster();
const upload = (...args: string[]): Promise<string> => curl(on(), "/v1beta1/upload", ...args);
const send = (name: string, token: string): string[] => [...post(on(), name), ...bearer(token)];

/** Signed as the installation does, at another time or for another claim. */
async function tokenOf(namespace: string, name: string, ageMs = 0): Promise<string> {
  const ref = { kind: kinds.secret, namespace: cdiNamespace, name: signingKeySecret.name };
  const { data } = (await on().cluster.client.get(ref)) as KubeSecret;
  const privateKey = Buffer.from(data?.[signingKeySecret.privateKey] ?? "", "base64").toString();
  const nowMs = Date.now() - ageMs;
  const issuer = apiServerIssuer;
  return await signToken(uploadClaims(namespace, name), { privateKey, issuer, nowMs, lifetimeMs: shortTokenMs });
}

/** The name in the token is another one; the signature stays. */
function renamed(token: string, name: string): string {
  const [head, claims = "", signature] = token.split(".");
  const said = JSON.parse(Buffer.from(claims, "base64url").toString()) as object;
  return [head, Buffer.from(JSON.stringify({ ...said, name })).toString("base64url"), signature].join(".");
}

/** Half of what was announced, and then nothing more. @returns what was answered */
async function halfPost(token: string, path: string, end: (socket: ReturnType<typeof connect>) => void) {
  const { hostname, port } = new URL(on().url);
  const socket = connect({ host: hostname, port: Number(port), ca: on().ca, servername: hostname });
  socket.on("error", () => undefined); // cut by design
  await once(socket, "secureConnect");
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${hostname}`,
    `Authorization: Bearer ${token}`,
    `Content-Length: ${image.length}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise((sent) => socket.write(image.subarray(0, image.length / 2), sent));
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  end(socket);
  if (!socket.closed) await once(socket, "close");
  return answer;
}

interface Wrong {
  readonly when: string;
  /** Through the proxy. @returns "status body" */
  readonly act: (token: string, name: string) => Promise<string>;
  readonly answer: string | RegExp;
}
/** None of these gets past the proxy, but the method. */
const atTheDoor: Wrong[] = [
  { when: "no token", act: () => upload(...post(on(), "disk.img")), answer: "400" },
  { when: "no token's form", act: () => upload(...send("disk.img", "a b")), answer: "400" },
  { when: "an alien token", act: () => upload(...send("disk.img", "a.b.c")), answer: "401" },
  {
    when: "an expired token",
    act: async (_, name) =>
      await upload(...send("disk.img", await tokenOf("default", name, shortTokenMs + seconds(11)))),
    answer: "401",
  },
  {
    when: "a token for another claim, with this one's name put in",
    act: async (_, name) => await upload(...send("disk.img", renamed(await tokenOf("default", "another"), name))),
    answer: "401",
  },
  {
    when: "a token for a claim that is not there",
    act: async () => await upload(...send("disk.img", await tokenOf("default", "nobody"))),
    answer: "503 rejecting Upload Request for PVC nobody that doesn&#39;t exist",
  },
  {
    when: "a token for the claim of that name in another namespace",
    act: async (_, name) => await upload(...send("disk.img", await tokenOf("kube-system", name))),
    answer: /^503 rejecting Upload Request for PVC \S+ that doesn&#39;t exist$/,
  },
  {
    when: "a wrong method",
    act: (token) => upload("-X", "PUT", "-T", on().file("disk.img"), ...bearer(token)),
    answer: "404",
  },
];
const wrongs: Wrong[] = [
  {
    when: "garbage that calls itself a qcow2",
    act: (token) => curl(on(), "/v1beta1/upload-form", "-F", `file=@${on().file("garbage.qcow2")}`, ...bearer(token)),
    answer: /^400 Saving stream failed: .*the name ends in \.qcow2/,
  },
  {
    when: "an image whose disk is too big",
    async act(token) {
      await run("qemu-img", ["create", "-q", "-f", "qcow2", on().file("large.qcow2"), "1G"]);
      return await upload(...send("large.qcow2", token));
    },
    answer: /^400 Saving stream failed: effective image size is larger than the reported available storage: /,
  },
  {
    when: "an image of too many bytes",
    async act(token) {
      await writeFile(on().file("long.img"), Buffer.alloc(20 * mib, 7));
      return await upload(...send("long.img", token));
    },
    answer: /^400 Saving stream failed: effective image size is larger than the reported available storage: /,
  },
  {
    when: "fewer bytes than declared",
    act: (token) => halfPost(token, "/v1beta1/upload", (socket) => void socket.end()),
    answer: /^HTTP\/1\.1 400 Bad Request\r\n/,
  },
  {
    when: "a client that vanishes at half",
    act: (token) => halfPost(token, "/v1beta1/upload-async", (socket) => void socket.destroy()),
    answer: "",
  },
];

test("at the proxy's door: each is answered as documented, and then a right one succeeds", async () => {
  const name = "door";
  const token = await readyVolume(on(), name);
  for (const { when, act, answer } of atTheDoor) {
    const said = await act(token, name);
    if (typeof answer === "string") expect(said, when).toBe(answer);
    else expect(said, when).toMatch(answer);
  }
  expect((await volumeOf(on(), name)).status?.phase).toBe("UploadReady");
  expect(await upload(...send("disk.img", token))).toBe("200");
  await untilSucceeded(on(), name);
  expect(holdsImage((await diskOf(on().cluster, name)) as Buffer, image)).toBe(true);
});

test.each(wrongs.map((row, index) => ({ ...row, name: `wrong-${index}` })))(
  "$when: answered as documented, and the next try succeeds",
  async ({ act, answer, name }) => {
    const token = await readyVolume(on(), name);
    const said = await act(token, name);
    if (typeof answer === "string") expect(said).toBe(answer);
    else expect(said).toMatch(answer);
    expect((await volumeOf(on(), name)).status?.phase).toBe("UploadReady");
    // A client that is gone may still have its place for a moment: whoever is told so tries again.
    await expect.poll(() => upload(...send("disk.img", token)), { timeout: 30_000 }).toBe("200");
    await untilSucceeded(on(), name);
    expect(holdsImage((await diskOf(on().cluster, name)) as Buffer, image)).toBe(true);
  },
);

test("a second upload while one runs: 503, and the first one ends well; a third finds it done", async () => {
  const token = await readyVolume(on(), "second");
  const { hostname, port } = new URL(on().url);
  const first = request({
    hostname,
    port,
    ca: on().ca,
    method: "POST",
    path: "/v1beta1/upload",
    agent: false,
    headers: { authorization: `Bearer ${token}`, "content-length": image.length },
  });
  const answered = once(first, "response") as Promise<[{ statusCode: number; resume: () => void }]>;
  // On its way before the next one is: that one must not be the first.
  await new Promise((sent) => first.write(image.subarray(0, image.length / 2), sent));
  await expect.poll(() => upload("-X", "POST", ...bearer(token), "-d", "x"), { timeout: 30_000 }).toBe("503");
  expect(await curl(on(), "/v1beta1/upload-async", ...send("disk.img", token))).toBe("503");
  expect(await curl(on(), "/v1beta1/upload-form", "-F", `file=@${on().file("disk.img")}`, ...bearer(token))).toBe(
    "503",
  );
  first.end(image.subarray(image.length / 2));
  const [response] = await answered;
  response.resume();
  expect(response.statusCode).toBe(200);
  await untilSucceeded(on(), "second");
  expect(holdsImage((await diskOf(on().cluster, "second")) as Buffer, image)).toBe(true);
  expect(await upload(...send("disk.img", token))).toBe(
    "503 rejecting Upload Request for PVC second that already finished uploading",
  );
});

test("a token is worth its own claim: another one's server takes nothing by it", async () => {
  const token = await readyVolume(on(), "own");
  await readyVolume(on(), "others");
  expect(await upload(...send("disk.img", token))).toBe("200");
  await untilSucceeded(on(), "own");
  expect((await volumeOf(on(), "others")).status?.phase).toBe("UploadReady");
});

test("without the proxy's certificate nothing but the health endpoint answers", async () => {
  await readyVolume(on(), "direct");
  const ref = { kind: kinds.pod, namespace: "default", name: "cdi-upload-direct" };
  const { status } = (await on().cluster.client.get(ref)) as Pod;
  const stranger = await certificateNow(await authorityNow("strangers"), uploadClientName, "client");
  const ask = (method: string, path: string, as?: KeyedCertificate): Promise<number> =>
    new Promise((resolve, reject) => {
      const identity = as ? { cert: as.certificate, key: as.key } : {};
      const address = { host: status?.podIP, port: 8443, rejectUnauthorized: false, agent: false } as const;
      request({ ...address, ...identity, method, path }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      })
        .on("error", reject)
        .end();
    });
  const posts = ["upload", "upload-async", "upload-archive", "upload-form", "upload-form-async"];
  for (const as of [undefined, stranger]) {
    expect(await ask("GET", "/healthz", as)).toBe(200);
    for (const path of posts) expect(await ask("POST", `/v1beta1/${path}`, as), path).toBe(401);
    for (const method of ["POST", "HEAD", "PATCH", "DELETE", "OPTIONS"])
      expect(await ask(method, "/v1beta1/upload-tus/0123456789abcdef", as), method).toBe(401);
  }
  expect((await volumeOf(on(), "direct")).status?.phase).toBe("UploadReady");
});
