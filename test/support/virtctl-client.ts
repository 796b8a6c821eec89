// A client that makes virtctl's calls in virtctl's order (interfaces/upload.md sections 6 and 7): `old` is v0.59, `new` is 1.0 and
// later. What virtctl would print as its error is thrown.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { parse } from "yaml";

export interface UploadWish {
  style: "old" | "new";
  kind: "dv" | "pvc";
  name: string;
  /** The file; an archive with `archive`. */
  path: string;
  archive?: boolean;
  size?: string;
  block?: boolean;
  storageClass?: string;
  noCreate?: boolean;
  forceBind?: boolean;
  /** Skip the check of the proxy's certificate; else its authority is in `ca`. */
  insecure?: boolean;
  ca?: string;
  /** Posts, each with its own HEAD. */
  retry?: number;
  /** Every poll, ms; virtctl's own is two seconds. */
  pollMs?: number;
  /** Before each POST, with the token in hand and counted from 1: tests change it. */
  token?: (token: string, attempt: number) => string;
  /** The file of a POST, counted from 1, where it is another one than `path`. */
  sent?: (attempt: number) => string;
}

interface Answer {
  code: number;
  body: string;
}
interface Thing {
  metadata: { name?: string; annotations?: Record<string, string>; labels?: Record<string, string> };
  spec?: { uploadProxyURLOverride?: string };
  status?: { phase?: string; claimName?: string; uploadProxyURL?: string; token?: string };
}

const cdi = "cdi.kubevirt.io";
/** After a 401 that is not the first answer. */
const mostRefreshes = 3;
const said = (thing: Thing | undefined, key: string): string | undefined =>
  thing?.metadata.annotations?.[`${cdi}/storage.${key}`];

export function virtctlOver(kubeconfig: string, namespace = "default") {
  const config = parse(kubeconfig) as {
    clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
  };
  const text = (base64 = ""): string => Buffer.from(base64, "base64").toString();
  const { server = "", "certificate-authority-data": ca } = config.clusters[0]?.cluster ?? {};
  const user = config.users[0]?.user;
  const access: RequestOptions = {
    ca: text(ca),
    cert: text(user?.["client-certificate-data"]),
    key: text(user?.["client-key-data"]),
  };

  async function api(method: string, path: string, body?: object): Promise<Answer> {
    const bytes = body === undefined ? undefined : JSON.stringify(body);
    return call(`${server}${path}`, {
      ...access,
      method,
      headers: { accept: "application/json", "content-type": "application/json" },
      body: bytes,
    });
  }
  async function get(path: string): Promise<Thing | undefined> {
    const { code, body } = await api("GET", path);
    if (code === 404) return undefined;
    if (code !== 200) throw new Error(`GET ${path}: ${code} ${body}`);
    return JSON.parse(body) as Thing;
  }
  async function send(method: "POST" | "PUT", path: string, body: object): Promise<Thing> {
    const answer = await api(method, path, body);
    if (answer.code > 299) throw new Error(`${method} ${path}: ${answer.code} ${answer.body}`);
    return JSON.parse(answer.body) as Thing;
  }

  const claims = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
  const volumes = `/apis/${cdi}/v1beta1/namespaces/${namespace}/datavolumes`;
  const getClaim = (name: string) => get(`${claims}/${name}`);
  const getVolume = (name: string) => get(`${volumes}/${name}`);

  async function upload(wish: UploadWish): Promise<void> {
    await stat(wish.path);
    const claim = await getClaim(wish.name);
    if (!claim && wish.noCreate) throw new Error(`persistentvolumeclaims "${wish.name}" not found`);
    if (claim) await checkExisting(wish, claim);
    else await create(wish);
    await (wish.kind === "dv" ? waitForVolume(wish) : waitForClaim(wish));
    const url = await proxyUrl();
    await post(wish, url);
    for (;;) {
      const now = await getClaim(wish.name);
      if (!now) throw new Error(`persistentvolumeclaims "${wish.name}" not found`);
      if (said(now, "pod.phase") === "Succeeded") return;
      await pause(wish);
    }
  }

  async function checkExisting(wish: UploadWish, claim: Thing): Promise<void> {
    if (wish.kind === "dv" && !(await getVolume(wish.name)))
      throw new Error(`No DataVolume is associated with the existing PVC ${namespace}/${wish.name}`);
    if (said(claim, "pod.phase") === "Succeeded")
      throw new Error(`PVC ${wish.name} already successfully imported/cloned/updated`);
    const isTarget = said(claim, "upload.target") !== undefined;
    if (!isTarget && !wish.noCreate) throw new Error(`PVC ${wish.name} not available for upload`);
    if (wish.archive && said(claim, "contentType") !== "archive")
      throw new Error(`PVC ${wish.name} doesn't have archive contentType annotation`);
    if (isTarget) return;
    const annotations = { ...claim.metadata.annotations, [`${cdi}/storage.upload.target`]: "" };
    await send("PUT", `${claims}/${wish.name}`, { ...claim, metadata: { ...claim.metadata, annotations } });
  }

  async function create(wish: UploadWish): Promise<void> {
    if (wish.storageClass !== undefined) {
      if (!(await get(`/apis/storage.k8s.io/v1/storageclasses/${wish.storageClass}`)))
        throw new Error(`storageclasses "${wish.storageClass}" not found`);
    }
    const contentType = wish.archive ? "archive" : "kubevirt";
    const bind = wish.forceBind ? { [`${cdi}/storage.bind.immediate.requested`]: "" } : {};
    const spec = {
      resources: { requests: { storage: wish.size } },
      ...(wish.storageClass === undefined ? {} : { storageClassName: wish.storageClass }),
      ...(wish.block ? { volumeMode: "Block" } : {}),
    };
    if (wish.kind === "dv") {
      await send("POST", volumes, {
        apiVersion: `${cdi}/v1beta1`,
        kind: "DataVolume",
        metadata: { name: wish.name, namespace, annotations: bind },
        spec: { contentType, source: { upload: {} }, storage: spec },
      });
      return;
    }
    const annotations = {
      [`${cdi}/storage.upload.target`]: "",
      [`${cdi}/storage.contentType`]: contentType,
      ...bind,
    };
    const labels = wish.style === "new" ? { [`${cdi}/applyStorageProfile`]: "true" } : {};
    await send("POST", claims, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: wish.name, namespace, annotations, labels },
      spec: { accessModes: ["ReadWriteOnce"], ...spec },
    });
  }

  async function waitForVolume(wish: UploadWish): Promise<void> {
    for (;;) {
      const volume = await getVolume(wish.name);
      const phase = volume?.status?.phase;
      if (phase === "UploadReady") return;
      const waits = phase === "WaitForFirstConsumer" || (wish.style === "new" && phase === "PendingPopulation");
      if (waits && !wish.forceBind) throw new Error("cannot upload to DataVolume in WaitForFirstConsumer state");
      await whyNot(wish, volume?.status?.claimName ?? wish.name);
      await pause(wish);
    }
  }

  async function waitForClaim(wish: UploadWish): Promise<void> {
    while (said(await getClaim(wish.name), "pod.ready") !== "true") {
      await whyNot(wish, wish.name);
      await pause(wish);
    }
  }

  /** What virtctl looks at while it waits. */
  async function whyNot(wish: UploadWish, claimName: string): Promise<void> {
    const { body } = await api("GET", `/api/v1/namespaces/${namespace}/events`);
    const { items } = JSON.parse(body) as {
      items: { involvedObject: { kind: string; name: string }; reason: string; message: string }[];
    };
    await getClaim(claimName);
    const about = (kind: string, name: string, reason: string) =>
      items.find(
        (one) => one.involvedObject.kind === kind && one.involvedObject.name === name && one.reason === reason,
      );
    const failed = about("PersistentVolumeClaim", claimName, "ProvisioningFailed");
    if (failed) throw new Error(`Provisioning failed: ${failed.message}`);
    if (wish.kind !== "dv") return;
    await getVolume(wish.name);
    const invalid = about("DataVolume", wish.name, "ErrClaimNotValid");
    if (invalid) throw new Error(`Claim not valid: ${invalid.message}`);
  }

  async function proxyUrl(): Promise<string> {
    const config = await get(`/apis/${cdi}/v1beta1/cdiconfigs/config`);
    const url = config?.spec?.uploadProxyURLOverride ?? config?.status?.uploadProxyURL ?? "";
    if (url === "") throw new Error("uploadproxy URL not found");
    return url.includes("://") ? url : `https://${url}`;
  }

  async function token(wish: Pick<UploadWish, "style" | "name">): Promise<string> {
    const metadata = wish.style === "old" ? { name: "token-for-virtctl" } : { generateName: "token-for-virtctl-" };
    const { status } = await send("POST", `/apis/upload.${cdi}/v1beta1/namespaces/${namespace}/uploadtokenrequests`, {
      apiVersion: `upload.${cdi}/v1beta1`,
      kind: "UploadTokenRequest",
      metadata: { ...metadata, namespace },
      spec: { pvcName: wish.name },
    });
    return status?.token ?? "";
  }

  async function post(wish: UploadWish, url: string): Promise<void> {
    const version = wish.style === "old" ? "v1alpha1" : "v1beta1";
    const tls = wish.insecure ? { rejectUnauthorized: false } : wish.ca === undefined ? {} : { ca: wish.ca };
    const attempts = wish.style === "new" ? (wish.retry ?? 5) : 1;
    let bearer = await token(wish);
    let refreshes = 0;
    let last: Answer = { code: 0, body: "" };
    for (let attempt = 1; attempt <= Math.max(1, attempts); attempt += 1) {
      const shown = wish.token?.(bearer, attempt) ?? bearer;
      const headers = { authorization: `Bearer ${shown}`, "content-type": "application/octet-stream" };
      const isAsync = await call(`${url}/${version}/upload-async`, { ...tls, method: "HEAD", headers }).then(
        ({ code }) => code === 200,
        () => false,
      );
      const file = wish.sent?.(attempt) ?? wish.path;
      last = await call(`${url}/${version}/${isAsync ? "upload-async" : "upload"}`, {
        ...tls,
        method: "POST",
        headers: { ...headers, "content-length": (await stat(file)).size },
        file,
      }).catch((cause: unknown) => ({ code: -1, body: String(cause) }));
      if (last.code === 200) return;
      if (last.code === 401 && attempt === 1 && wish.style === "new") throw new Error("authentication failed");
      if (last.code === 401 && refreshes < mostRefreshes) {
        refreshes += 1;
        bearer = await token(wish);
      }
      await new Promise((resolve) => setTimeout(resolve, attempt * Math.random() * 50));
    }
    if (wish.style === "new")
      throw new Error(`error uploading image after ${attempts} retries: ${last.code} ${last.body}`);
    throw new Error(`unexpected return value ${last.code}, ${last.body}`);
  }

  return { upload, token, proxyUrl, getClaim, getVolume };
}

const pause = ({ pollMs = 100 }: UploadWish): Promise<void> => new Promise((resolve) => setTimeout(resolve, pollMs));

interface Call extends RequestOptions {
  body?: string | undefined;
  file?: string;
}

function call(url: string, { body, file, ...options }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(url, { agent: false, ...options }, (answer) => {
      answer.setEncoding("utf8");
      let text = "";
      answer.on("data", (chunk: string) => (text += chunk));
      answer.on("end", () => resolve({ code: answer.statusCode ?? 0, body: text }));
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    if (file === undefined) outgoing.end(body);
    else
      createReadStream(file, { highWaterMark: 1024 * 1024 })
        .on("error", reject)
        .pipe(outgoing);
  });
}
