// Request bodies: bounded; JSON, YAML, and protobuf for the kinds that kubectl creates with it.
import type { IncomingMessage } from "node:http";
import { parse as parseYaml } from "yaml";
import { badRequest, tooLarge, unsupportedMedia } from "./errors.ts";
import { duplicateKeys } from "./schema/duplicates.ts";
import { decodeBody, protobufMedia } from "./protobuf/decode.ts";

/** As the real server: three mebibytes. */
export const bodyLimitBytes = 3 * 1024 * 1024;

export const mediaOf = (request: IncomingMessage): string =>
  (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";

/** @throws ApiError 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Read on, but keep nothing: an answer before the body's end would be lost with the connection.
    if (size <= bodyLimitBytes) chunks.push(chunk);
    else if (size > 8 * bodyLimitBytes) throw tooLarge(bodyLimitBytes);
  }
  if (size > bodyLimitBytes) throw tooLarge(bodyLimitBytes);
  return Buffer.concat(chunks);
}

/** Server-side apply sends YAML, or JSON, which YAML is. */
export const applyMedia = "application/apply-patch+yaml";

/** Fields the body names twice, as the real server tells of them. */
export function duplicatesIn(media: string, bytes: Buffer): string[] {
  if (media === protobufMedia || bytes[0] !== 0x7b) return [];
  return duplicateKeys(bytes.toString()).map((path) => `duplicate field "${path}"`);
}

/** @returns undefined for an empty body. @throws ApiError 400, 415 */
export function parseBody(media: string, bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (media === protobufMedia) return decodeBody(bytes);
  const yaml = media === "application/yaml" || (media === applyMedia && bytes[0] !== 0x7b);
  if (!yaml && media !== "" && media !== "application/json" && media !== applyMedia && !media.endsWith("+json")) {
    throw unsupportedMedia(["application/json", "application/yaml"]);
  }
  try {
    return yaml ? (parseYaml(bytes.toString()) as unknown) : (JSON.parse(bytes.toString()) as unknown);
  } catch (cause) {
    throw badRequest(`the body cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
