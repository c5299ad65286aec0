import { JSON_TYPES, remainingTypes } from "../contract/remaining_types.ts";
import { isObject } from "../json.ts";

/** An OpenAPI document, or a part of one, as parsed. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

// Prose, examples and other fields without a promise: they are in openapi.yaml only.
const PROSE = new Set(["description", "summary", "example", "examples", "tags", "links"]);

const METHODS = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"]);

/**
 * The promises of a document, one fact a line: every operation with its parameters, schemas,
 * statuses, headers and security. References are followed, prose is left out, and order is ignored
 * where it has no meaning. Two documents with the same promises have the same lines.
 */
export function promisesOf(document: Json): Set<string> {
  const lines = new Set<string>();
  const root = asObject(inlined(document));
  for (const [path, item] of Object.entries(asObject(root.paths ?? {}))) {
    for (const [method, operation] of Object.entries(asObject(item))) {
      if (METHODS.has(method)) write(`${method} ${path}`, operation, lines);
    }
  }
  write("securitySchemes", asObject(root.components ?? {}).securitySchemes ?? {}, lines);
  return lines;
}

/** The promises of a schema of the components, by its name. */
export function promisesOfSchema(document: Json, name: string): Set<string> {
  const lines = new Set<string>();
  const { schemas } = asObject(asObject(inlined(document)).components ?? {});
  write("", asObject(schemas ?? {})[name] ?? null, lines);
  return lines;
}

/** One document's promises about one part: the lines that start with `place`, without it. */
export function promisesAt(document: Json, place: string): Set<string> {
  const lines = [...promisesOf(document)].filter((line) => line.startsWith(place));
  return new Set(lines.map((line) => line.slice(place.length)));
}

/**
 * A document without references. What may be null is a list of types, as in `[string, "null"]`, and
 * any JSON value is the empty schema.
 */
export function inlined(document: Json): Json {
  return resolve(document, asObject(document), new Map());
}

/** @param targets what references lead to, resolved: most stand in many places */
function resolve(value: Json, root: { [key: string]: Json }, targets: Map<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item) => resolve(item, root, targets));
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.$ref === "string") {
    const target = targets.get(value.$ref) ?? resolve(targetOf(value.$ref, root), root, targets);
    targets.set(value.$ref, target);
    return target;
  }
  const { not, ...others } = value;
  const said = Object.entries(isDouble(not) ? others : value);
  return withTypes(withNull(Object.fromEntries(
    said.map(([key, item]) => [key, resolve(item, root, targets)]),
  )));
}

function targetOf(reference: string, root: { [key: string]: Json }): Json {
  let target: Json = root;
  for (const name of reference.replace(/^#\//, "").split("/")) {
    target = asObject(target)[name] ?? null;
  }
  if (target === null) throw new Error(`${reference} leads nowhere`);
  return target;
}

// A double `not` says what the routes check by code, such as NUL at any depth, by referring to
// itself: `json_value_input_test.ts`.
const isDouble = (not: Json | undefined) => isObject(not) && isObject(not.not);

/** `anyOf` a schema or null, as one schema. */
function withNull({ anyOf, ...beside }: { [key: string]: Json }): { [key: string]: Json } {
  if (!Array.isArray(anyOf)) return anyOf === undefined ? beside : { ...beside, anyOf };
  const schemas = anyOf.map(asObject);
  const [schema, ...others] = schemas.filter(({ type }) => type !== "null");
  if (schema === undefined || others.length > 0 || schemas.length === 1) {
    return { ...beside, anyOf };
  }
  const { type, enum: values } = schema;
  return {
    ...schema,
    ...beside,
    ...(type !== undefined && { type: [type, "null"].flat() }),
    ...(Array.isArray(values) && { enum: [...values, null] }),
    ...(Array.isArray(schema.anyOf) && { anyOf: [...schema.anyOf, { type: "null" }] }),
  };
}

/** A schema of all types as the empty schema, and one of all types but some as a list of types. */
function withTypes(schema: { [key: string]: Json }): { [key: string]: Json } {
  const { type, not, additionalProperties: _, items: __, ...others } = schema;
  if (Array.isArray(type) && JSON_TYPES.every((one) => type.includes(one))) return others;
  const types = remainingTypes(schema);
  return types === undefined || not === undefined ? schema : { ...others, type: types };
}

function write(place: string, value: Json, lines: Set<string>, isNames = false): void {
  if (typeof value !== "object" || value === null) {
    lines.add(`${place} = ${JSON.stringify(value)}`);
  } else if (Array.isArray(value)) {
    if (value.length === 0) lines.add(`${place} = []`);
    for (const item of value) {
      // Lists in an OpenAPI document are sets: required names, enum values, alternatives,
      // parameters.
      const nested = new Set<string>();
      write("", item, nested);
      lines.add(`${place}[]${[...nested].sort().join(" &")}`);
    }
  } else {
    const entries = Object.entries(value);
    // A field of a schema may have the name of a prose field.
    const said = isNames ? entries : entries.filter(([key]) => !PROSE.has(key));
    if (said.length === 0) lines.add(`${place} = {}`);
    for (const [key, item] of said) {
      write(`${place}/${key}`, item, lines, key === "properties" || key === "headers");
    }
  }
}

/** The value, which must be an object. */
export function asObject(value: Json): { [key: string]: Json } {
  if (isObject(value)) return value;
  throw new Error(`expected an object, found ${JSON.stringify(value)}`);
}
