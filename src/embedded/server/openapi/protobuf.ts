// The OpenAPI v2 document as protobuf: kubectl reads no other form of it. Field numbers: gnostic's openapiv2/OpenAPIv2.proto.
import type { Gvk, V2Document, V2Operation, V2Parameter, V2Schema } from "./document.ts";

export function encodeDocument(document: V2Document): Buffer {
  return join(
    string(1, document.swagger),
    message(2, join(string(1, document.info.title), string(2, document.info.version))),
    message(
      8,
      join(...Object.entries(document.paths).map(([path, { patch }]) => named(2, path, message(8, operation(patch))))),
    ),
    message(9, join(...Object.entries(document.definitions).map(([name, one]) => named(1, name, schema(one))))),
  );
}

const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left % 0x80) | 0x80);
    left = Math.floor(left / 0x80);
  }
  return Buffer.from([...bytes, left]);
}

/** A length-delimited field. */
const message = (field: number, body: Buffer): Buffer => join(varint(field * 8 + 2), varint(body.length), body);
const string = (field: number, text: string): Buffer => message(field, Buffer.from(text));
/** The NamedX messages: name and value. */
const named = (field: number, name: string, value: Buffer): Buffer =>
  message(field, join(string(1, name), message(2, value)));

/** A NamedAny whose value is text of YAML; JSON is YAML. */
const extension = (field: number, name: string, value: Gvk | Gvk[]): Buffer =>
  named(field, name, string(2, JSON.stringify(value)));

const gvkName = "x-kubernetes-group-version-kind";

function operation(one: V2Operation): Buffer {
  const responses = Object.entries(one.responses).map(([code, { description }]) =>
    named(1, code, message(1, string(1, description))),
  );
  return join(
    string(5, one.operationId),
    ...one.consumes.map((media) => string(7, media)),
    ...one.parameters.map((parameter) => message(8, message(1, message(2, message(3, queryParameter(parameter)))))),
    message(9, join(...responses)),
    extension(13, gvkName, one[gvkName]),
  );
}

const queryParameter = ({ name, in: place, type, description }: V2Parameter): Buffer =>
  join(string(2, place), string(3, description), string(4, name), string(6, type));

function schema(one: V2Schema): Buffer {
  const { format, description, required = [], additionalProperties, type, items, properties } = one;
  const gvks = one[gvkName];
  return join(
    ...(format === undefined ? [] : [string(2, format)]),
    ...(description === undefined ? [] : [string(4, description)]),
    ...required.map((name) => string(19, name)),
    ...(additionalProperties ? [message(21, message(1, schema(additionalProperties)))] : []),
    ...(type === undefined ? [] : [message(22, string(1, type))]),
    ...(items ? [message(23, message(1, schema(items)))] : []),
    ...(properties
      ? [message(25, join(...Object.entries(properties).map(([name, inner]) => named(1, name, schema(inner)))))]
      : []),
    ...(gvks ? [extension(31, gvkName, gvks)] : []),
  );
}
