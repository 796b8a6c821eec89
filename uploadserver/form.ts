// The part named `file` of a multipart body, as a stream; other parts are skipped (RFC 7578, RFC 2046).
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Something about the form itself is wrong: answered 400. */
export class BadForm extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BadForm";
  }
}

export interface FormPart {
  /** As the client named it, "" for none. */
  readonly fileName: string;
  readonly bytes: Readable;
  /** What follows in the request is the caller's again. */
  readonly release: () => Promise<void>;
}

/** A part's head may be this long, bytes. */
const longestHead = 16 * 1024;
const lineEnd = Buffer.from("\r\n");
const headEnd = Buffer.from("\r\n\r\n");

/** Reads up to the first byte of the part named `file`. @throws BadForm; the request's error */
export async function filePart(request: IncomingMessage): Promise<FormPart> {
  const boundary = boundaryOf(request.headers["content-type"] ?? "");
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
  const release = async (): Promise<void> => void (await chunks.return?.());
  try {
    return { ...(await findFile(new Scanner(chunks), boundary)), release };
  } catch (cause) {
    await release();
    throw cause;
  }
}

async function findFile(scan: Scanner, boundary: string): Promise<Omit<FormPart, "release">> {
  // Before the first boundary may stand a preamble; the line end before it belongs to the boundary.
  scan.unread(lineEnd);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  await drop(scan.until(delimiter));
  for (;;) {
    const mark = await scan.take(2);
    if (mark.equals(Buffer.from("--"))) throw new BadForm("the form has no part named file");
    // Only blanks may follow a boundary on its line; head and line end are then one piece.
    const blanks = mark.equals(lineEnd) ? "" : mark.toString("latin1");
    if (/[^ \t\r]/.test(blanks)) throw new BadForm("the form's boundary is not followed by a line end");
    if (blanks !== "") await drop(scan.until(lineEnd, longestHead));
    scan.unread(lineEnd);
    const head = Buffer.concat(await collect(scan.until(headEnd, longestHead))).toString("utf8");
    const { name, fileName } = dispositionOf(head);
    if (name === "file") return { fileName, bytes: Readable.from(scan.until(delimiter), { objectMode: false }) };
    await drop(scan.until(delimiter));
  }
}

function boundaryOf(contentType: string): string {
  if (!/^multipart\/form-data\s*;/i.test(contentType)) throw new BadForm("the request is no multipart/form-data");
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw new BadForm("the form names no boundary");
  return boundary;
}

function dispositionOf(head: string): { name: string; fileName: string } {
  const line = /^content-disposition:\s*form-data\s*(;.*)$/im.exec(head)?.[1] ?? "";
  const value = (key: string): string => {
    const [, quoted, plain] = new RegExp(`;\\s*${key}=(?:"([^"]*)"|([^\\s;]*))`, "i").exec(line) ?? [];
    return quoted ?? plain ?? "";
  };
  return { name: value("name"), fileName: value("filename") };
}

/** Cuts a stream at given marks, holding back no more than a mark's length. */
class Scanner {
  readonly #chunks: AsyncIterator<Buffer, undefined>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterator<Buffer, undefined>) {
    this.#chunks = chunks;
  }

  unread(bytes: Buffer): void {
    this.#rest = Buffer.concat([bytes, this.#rest]);
  }

  async take(count: number): Promise<Buffer> {
    while (this.#rest.length < count) this.#rest = Buffer.concat([this.#rest, await this.#next()]);
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }

  /** The bytes before the mark, which is dropped. @throws BadForm for more than `mostBytes` */
  async *until(mark: Buffer, mostBytes = Infinity): AsyncGenerator<Buffer> {
    for (let seen = 0; ;) {
      const at = this.#rest.indexOf(mark);
      const given = at >= 0 ? at : Math.max(0, this.#rest.length - mark.length + 1);
      seen += given;
      if (seen > mostBytes) throw new BadForm("a part's head is too long");
      const piece = this.#rest.subarray(0, given);
      this.#rest = this.#rest.subarray(at >= 0 ? at + mark.length : given);
      if (piece.length > 0) yield piece;
      if (at >= 0) return;
      const next = await this.#next();
      this.#rest = this.#rest.length === 0 ? next : Buffer.concat([this.#rest, next]);
    }
  }

  async #next(): Promise<Buffer> {
    const { value } = await this.#chunks.next();
    if (value === undefined) throw new BadForm("the form ends before its last boundary");
    return value;
  }
}

async function drop(bytes: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of bytes);
}

async function collect(bytes: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const one of bytes) all.push(one);
  return all;
}
