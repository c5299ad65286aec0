import { JSON_TYPES } from "../contract/remaining_types.ts";
import { isObject } from "../json.ts";
import { asObject, type Json } from "./normal_form.ts";

type Part = { [key: string]: Json };

/**
 * Reads an OpenAPI 3.0 document as 3.1, so that both can be compared: `nullable`, references with a
 * description, and values of several types (contract/openapi_30.ts).
 */
export function readAs31(value: Json): Json {
  if (Array.isArray(value)) return value.map(readAs31);
  if (!isObject(value)) return value;
  return readPart(Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, readAs31(asJson(one))]),
  ));
}

function readPart({ "x-property-names": _, ...part }: Part): Part {
  return readNullable(readSeveralTypes(part));
}

function readNullable({ nullable, allOf, ...others }: Part): Part {
  const [schema, ...more] = Array.isArray(allOf) ? allOf : [];
  if (schema !== undefined && more.length === 0) {
    return nullable === true
      ? { ...others, anyOf: [schema, { type: "null" }] }
      : { ...others, ...asObject(schema) };
  }
  const part = allOf === undefined ? others : { ...others, allOf };
  if (nullable !== true || part.type === undefined) return part;
  return { ...part, type: [part.type, "null"].flat() };
}

/**
 * `not` a list of schemas of one type each. Those with `not` are rules for a type that is allowed: of
 * texts they are read; the comparison leaves out those of lists and objects.
 */
function readSeveralTypes(part: Part): Part {
  const { not, nullable, ...others } = part;
  if (!isObject(not) || !Array.isArray(not.anyOf)) return part;
  const schemas = not.anyOf.map((one) => asObject(asJson(one)));
  const excluded = schemas.filter((schema) => schema.not === undefined)
    .map(({ type }) => type ?? "null");
  if ((nullable === true) === excluded.includes("null")) {
    throw new Error("nullable and `not` disagree");
  }
  if (excluded.length === 0) return others;
  const text = schemas.find((schema) => schema.type === "string" && schema.not !== undefined);
  return {
    ...others,
    ...asObject(text?.not ?? {}),
    type: JSON_TYPES.filter((type) => !excluded.includes(type)),
  };
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}
