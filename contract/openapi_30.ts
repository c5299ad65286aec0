import { isObject } from "../json.ts";
import { remainingTypes } from "./remaining_types.ts";

/*
 * The contract is OpenAPI 3.1. Tools that read only 3.0 get a document of the same promises. What
 * 3.0 lacks is translated; where there is no translation, the conversion throws.
 */

/** An object of a document. */
type Part = Record<string, unknown>;

const VERSION = "3.0.3";

// https://spec.openapis.org/oas/v3.0.3.html, "Fixed Fields" of each object.
const DOCUMENT_FIELDS = ["openapi", "servers", "paths", "components", "security", "tags", "info"];
const COMPONENTS = [
  "schemas",
  "responses",
  "parameters",
  "examples",
  "requestBodies",
  "headers",
  "securitySchemes",
  "links",
];
const SECURITY_TYPES = ["apiKey", "http", "oauth2", "openIdConnect"];
// Keywords that 3.0 and 3.1 read alike. `exclusiveMinimum`, for one, has another meaning.
const KEYWORDS = [
  "title",
  "multipleOf",
  "maximum",
  "minimum",
  "maxLength",
  "minLength",
  "pattern",
  "maxItems",
  "minItems",
  "uniqueItems",
  "maxProperties",
  "minProperties",
  "required",
  "enum",
  "format",
  "description",
  "default",
  "readOnly",
  "writeOnly",
  "example",
  "deprecated",
];

/**
 * Converts an OpenAPI 3.1 document to OpenAPI 3.0.
 *
 * @throws {Error} for a part that 3.0 can't express, with its place
 */
export function toOpenapi30(document: unknown): Part {
  const { openapi, info, ...others } = partAt(document, "#");
  if (typeof openapi !== "string" || !openapi.startsWith("3.1.")) {
    throw new Error(`the document is OpenAPI ${openapi}, not 3.1`);
  }
  refuseOthers({ openapi, info, ...others }, DOCUMENT_FIELDS, "#");
  if (isObject(others.components)) refuseOthers(others.components, COMPONENTS, "#/components");
  return {
    openapi: VERSION,
    info: convertInfo(partAt(info, "#/info")),
    ...convertAll(others, "#"),
  };
}

function convertInfo({ summary, license, description, ...info }: Part): Part {
  const texts = [summary, description].filter((text) => text !== undefined);
  return {
    ...info,
    ...(texts.length > 0 && { description: texts.join("\n\n") }),
    ...(license !== undefined && { license: convertLicense(partAt(license, "#/info/license")) }),
  };
}

function convertLicense({ identifier, ...license }: Part): Part {
  return identifier === undefined
    ? license
    : { ...license, url: `https://spdx.org/licenses/${identifier}.html` };
}

/** Converts all that an object holds. Extensions and examples stay as they are. */
function convertAll(part: Part, place: string): Part {
  return mapped(part, (value, name) => {
    const at = `${place}/${name}`;
    if (name.startsWith("x-") || name === "example" || name === "examples") return value;
    if (name === "schema") return convertSchema(value, at);
    if (at === "#/components/schemas") {
      return mapped(partAt(value, at), (schema, key) => convertSchema(schema, `${at}/${key}`));
    }
    return convertValue(value, at);
  });
}

function convertValue(value: unknown, place: string): unknown {
  if (Array.isArray(value)) return value.map((item, at) => convertValue(item, `${place}/${at}`));
  if (!isObject(value)) return value;
  if ("$ref" in value && Object.keys(value).length > 1) {
    throw new Error(`${place}: 3.0 has no field beside $ref`);
  }
  if (place.startsWith("#/components/securitySchemes/") && isObject(value)) {
    const { type } = value;
    if (!SECURITY_TYPES.includes(String(type))) {
      throw new Error(`${place}: 3.0 has no type ${type}`);
    }
  }
  return convertAll(value, place);
}

function convertSchema(value: unknown, place: string): Part {
  const { $ref, ...schema } = partAt(value, place);
  if ($ref !== undefined) {
    return isEmpty(schema) ? { $ref } : { ...convertKeywords(schema, place), allOf: [{ $ref }] };
  }
  const { not, ...others } = schema;
  const excluded = partOf(not).type;
  const isOfSeveralTypes = remainingTypes(schema) !== undefined;
  if (!isOfSeveralTypes && !isObject(partOf(not).not)) {
    return convertUntyped(convertKeywords(schema, place));
  }
  const rules = isOfSeveralTypes
    ? {}
    : convertKeywords(partOf(partOf(not).not), `${place}/not/not`);
  return convertRules(
    isOfSeveralTypes ? listAt(excluded, `${place}/not/type`) : [],
    { ...convertKeywords(others, place), ...rules },
  );
}

const partOf = (value: unknown): Part => isObject(value) ? value : {};

/** Some tools read a schema without a type as one that excludes null. */
function convertUntyped(schema: Part): Part {
  const isTyped = ["type", "enum", "not", "allOf", "anyOf", "oneOf"].some((name) => name in schema);
  return isTyped ? schema : { ...schema, nullable: true };
}

function convertKeywords(schema: Part, place: string): Part {
  const converted: Part = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith("x-") || KEYWORDS.includes(keyword)) converted[keyword] = value;
    else Object.assign(converted, convertKeyword(keyword, value, `${place}/${keyword}`));
  }
  return converted;
}

function convertKeyword(keyword: string, value: unknown, at: string): Part {
  switch (keyword) {
    case "type":
      return convertType(value, at);
    case "const":
      return { enum: [value] };
    case "examples":
      return { example: listAt(value, at)[0] };
    case "contentMediaType":
      return { "x-content-media-type": value };
    case "propertyNames":
      return { "x-property-names": value };
    case "items":
      return { items: convertSchema(value, at) };
    case "not":
      return { not: convertSchema(value, at) };
    case "additionalProperties":
      return {
        [keyword]: isEmpty(value) || typeof value === "boolean" ? value : convertSchema(value, at),
      };
    case "properties":
      return {
        [keyword]: mapped(partAt(value, at), (one, name) => convertSchema(one, `${at}/${name}`)),
      };
    case "anyOf":
      return convertAnyOf(listAt(value, at), at);
    case "allOf":
    case "oneOf":
      return { [keyword]: listAt(value, at).map((one, i) => convertSchema(one, `${at}/${i}`)) };
  }
  throw new Error(`${at}: 3.0 has no such keyword`);
}

function convertType(value: unknown, at: string): Part {
  const types = [value].flat();
  const [type, ...others] = types.filter((one) => one !== "null");
  if (type === undefined || others.length > 0) {
    throw new Error(`${at}: a schema of 3.0 has one type`);
  }
  return {
    type,
    ...(types.includes("null") && { nullable: true }),
    // 3.0 wants it in every list.
    ...(type === "array" && { items: {} }),
  };
}

/** `anyOf` a schema or null. */
function convertAnyOf(schemas: unknown[], at: string): Part {
  const others = schemas.filter((schema) => !isObject(schema) || schema.type !== "null");
  const converted = others.map((schema, i) => convertSchema(schema, `${at}/${i}`));
  if (others.length === schemas.length) return { anyOf: converted };
  if (others.length > 1) throw new Error(`${at}: name the union, and refer to it or null`);
  // Generators read `allOf` as the reference itself, `anyOf` as a union of one.
  return { allOf: converted, nullable: true };
}

/**
 * A value without a type: of several types, `not: { type: [object, array] }`, or any value with rules
 * for some types, `not: { not: … }`. 3.0 has no list of types, and openapi-generator's Python refuses
 * `pattern` beside no type. So what isn't allowed is a list of schemas of one type each.
 */
function convertRules(excluded: unknown[], part: Part): Part {
  const { pattern, minLength, maxLength, items, additionalProperties, ...others } = part;
  const rules = [
    ["string", { pattern, minLength, maxLength }],
    ["array", { items }],
    ["object", { additionalProperties }],
  ] as const;
  return {
    ...others,
    ...(!excluded.includes("null") && { nullable: true }),
    not: {
      anyOf: [
        ...excluded.map((type) => ONE_TYPE[String(type)] ?? { type }),
        ...rules.flatMap(([type, rule]) => {
          const said = withoutUndefined(rule);
          return isEmpty(said) ? [] : [{ ...(ONE_TYPE[type] ?? { type }), not: said }];
        }),
      ],
    },
  };
}

// 3.0 has no type null, and a list needs `items`.
const ONE_TYPE: Record<string, Part> = {
  array: { type: "array", items: {} },
  null: { enum: [null] },
};

const withoutUndefined = (part: Part): Part =>
  Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined));

const isEmpty = (value: unknown): boolean => isObject(value) && Object.keys(value).length === 0;

const mapped = (part: Part, convert: (value: unknown, name: string) => unknown): Part =>
  Object.fromEntries(Object.entries(part).map(([name, value]) => [name, convert(value, name)]));

function partAt(value: unknown, place: string): Part {
  if (!isObject(value)) throw new Error(`${place} is no object`);
  return value;
}

function listAt(value: unknown, place: string): unknown[] {
  if (!Array.isArray(value)) throw new Error(`${place} is no list`);
  return value;
}

function refuseOthers(part: Part, fields: readonly string[], place: string): void {
  for (const name of Object.keys(part)) {
    if (!fields.includes(name) && !name.startsWith("x-")) {
      throw new Error(`${place}/${name}: 3.0 has no such field`);
    }
  }
}
