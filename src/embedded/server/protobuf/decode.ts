// Kubernetes' protobuf bodies into the JSON form: "k8s\0", then runtime.Unknown around the message itself.
import { badRequest, unsupportedMedia } from "../errors.ts";
import { stamp } from "../../../lib/clock.ts";
import { bodies, messages, type ProtoField, type ScalarType } from "./messages.ts";

export const protobufMedia = "application/vnd.kubernetes.protobuf";
const magic = Buffer.from("k8s\0");

/** @throws ApiError 400 for damaged bytes, 415 for a kind that is read as JSON only */
export function decodeBody(bytes: Buffer): Record<string, unknown> {
  if (!bytes.subarray(0, magic.length).equals(magic)) throw badRequest("the body is not Kubernetes protobuf");
  let typeMeta: Buffer = Buffer.alloc(0);
  let raw: Buffer = Buffer.alloc(0);
  for (const { field, value } of fieldsOf(bytes.subarray(magic.length))) {
    if (field === 1) typeMeta = bytesIn(value);
    if (field === 2) raw = bytesIn(value);
  }
  const names = new Map([...fieldsOf(typeMeta)].map(({ field, value }) => [field, bytesIn(value).toString()]));
  const kind = names.get(2) ?? "";
  if (!bodies.includes(kind)) throw unsupportedMedia(["application/json", "application/yaml"]);
  return { apiVersion: names.get(1) ?? "", kind, ...decodeMessage(raw, kind) };
}

type WireValue = number | Buffer;
const bytesIn = (value: WireValue): Buffer => {
  if (typeof value === "number") throw badRequest("protobuf: a number where bytes belong");
  return Buffer.from(value);
};
const numberIn = (value: WireValue): number => {
  if (typeof value !== "number") throw badRequest("protobuf: bytes where a number belongs");
  return value;
};

function* fieldsOf(bytes: Buffer): Generator<{ field: number; value: WireValue }> {
  let at = 0;
  const varint = (): number => {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) break;
      at += 1;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, result));
    }
    throw badRequest("protobuf: a number is cut off");
  };
  const take = (length: number): Buffer => {
    if (length < 0 || at + length > bytes.length) throw badRequest("protobuf: a field is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) yield { field: tag >>> 3, value: varint() };
    else if (wire === 2) yield { field: tag >>> 3, value: take(varint()) };
    else if (wire === 1 || wire === 5) take(wire === 1 ? 8 : 4);
    else throw badRequest(`protobuf: unknown wire type ${wire}`);
  }
}

function decodeMessage(bytes: Buffer, name: string): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const { field, value } of fieldsOf(bytes)) {
    const known = messages[name]?.[field];
    if (known) put(out, known, value);
  }
  // Go sends empty texts and messages of absent fields; JSON leaves them out.
  for (const [field, value] of Object.entries(out)) if (isEmpty(value)) delete out[field];
  return out;
}

const isEmpty = (value: unknown): boolean =>
  value === "" ||
  value === undefined ||
  (typeof value === "object" && value !== null && Object.keys(value).length === 0);

function put(out: Record<string, unknown>, { name, type, many }: ProtoField, value: WireValue): void {
  if (type === "texts" || type === "byteses" || type === "quantities") {
    const [key, inner] = entryOf(bytesIn(value));
    const map = (out[name] ??= {}) as Record<string, string>;
    map[key] = type === "texts" ? inner.toString() : type === "byteses" ? inner.toString("base64") : quantityOf(inner);
    return;
  }
  const decoded = typeof type === "object" ? decodeMessage(bytesIn(value), type.message) : scalar(type, value);
  if (many) out[name] = [...((out[name] ?? []) as unknown[]), decoded];
  else out[name] = decoded;
}

function scalar(type: ScalarType, value: WireValue): unknown {
  if (type === "int") return numberIn(value);
  if (type === "bool") return numberIn(value) !== 0;
  if (type !== "time") return bytesIn(value).toString();
  const seconds = [...fieldsOf(bytesIn(value))].find(({ field }) => field === 1);
  return seconds && stamp(numberIn(seconds.value) * 1000);
}

function entryOf(bytes: Buffer): [string, Buffer] {
  const parts = new Map([...fieldsOf(bytes)].map(({ field, value }) => [field, bytesIn(value)]));
  return [parts.get(1)?.toString() ?? "", parts.get(2) ?? Buffer.alloc(0)];
}

/** resource.Quantity is a message with its text as field 1. */
const quantityOf = (bytes: Buffer): string => entryOf(bytes)[0];
