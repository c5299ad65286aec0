import { deepStrictEqual, ok } from "node:assert/strict";
import { isObject } from "../json.ts";
import { append, set, unset } from "./document_edits.ts";
import { readContract } from "./documents.ts";
import { asObject, type Json } from "./normal_form.ts";

/* The names and shapes of docs/contract.md, which code generators carry over. */

const NAME = /^[A-Z][a-z0-9]*(?:[A-Z][a-z0-9]*)*$/;
// A word of this list is a class, a type or a reserved name of many languages or generators.
const TAKEN = new Set(["Error", "Exception", "Object", "Response", "Request", "Record", "Date"]);

const TAGS = ["Lots", "Traceability", "Quality", "Traces", "Audits", "Auth", "Operations"];

/** What of a document breaks the rules, a line each. */
function faultsOf(document: Json): string[] {
  const root = asObject(document);
  const components = asObject(root.components ?? {});
  const schemas = asObject(components.schemas ?? {});
  const others = ["responses", "parameters", "headers"]
    .flatMap((kind) => Object.keys(asObject(components[kind] ?? {})));
  return [
    ...Object.entries(schemas).flatMap(([name, schema]) => [
      ...nameFaults(name, others),
      ...descriptionFaults(name, asObject(schema)),
      ...insideFaults(name, asObject(schema), true),
    ]),
    ...inlineFaults(root.paths ?? {}, "paths"),
    ...operationFaults(asObject(root.paths ?? {})),
  ];
}

function nameFaults(name: string, others: readonly string[]): string[] {
  return [
    ...(NAME.test(name) && !name.startsWith("New") ? [] : [`${name}: is no noun in PascalCase`]),
    ...(TAKEN.has(name) || others.includes(name) ? [`${name}: the name is taken`] : []),
  ];
}

function descriptionFaults(name: string, { description, properties }: { [key: string]: Json }) {
  const missing = Object.entries(asObject(properties ?? {})).filter(([, property]) => {
    const { description, $ref } = asObject(property);
    return description === undefined && $ref === undefined;
  });
  return [
    ...(typeof description === "string" ? [] : [`${name}: has no description`]),
    ...missing.map(([property]) => `${name}.${property}: has no description`),
  ];
}

/** A schema inside another one is a reference, a reference or null, a plain value, or a list. */
function insideFaults(place: string, schema: { [key: string]: Json }, isNamed = false): string[] {
  const { type, items, properties, additionalProperties, anyOf } = schema;
  const types = [type ?? []].flat().filter((one) => one !== "null");
  const faults = [
    ...(types.length > 1 ? ["a list of types"] : []),
    ...(schema.oneOf !== undefined || schema.allOf !== undefined ? ["oneOf or allOf"] : []),
    ...(isNamed && [type].flat().includes("null") ? ["a named schema that may be null"] : []),
    ...(isNamed && anyOf !== undefined ? ["anyOf as a named schema"] : []),
    ...(!isNamed && anyOf !== undefined && !isReferenceOrNull(anyOf) ? ["an unnamed union"] : []),
    ...(!isNamed && schema.enum !== undefined ? ["an unnamed enum"] : []),
    ...(!isNamed && types.includes("object") ? ["an unnamed object"] : []),
  ];
  const inner = [
    ...Object.entries(asObject(properties ?? {})),
    ...(items === undefined ? [] : [["items", items] as const]),
    ...(isObject(additionalProperties) ? [["values", additionalProperties] as const] : []),
  ];
  return [
    ...faults.map((fault) => `${place}: ${fault}`),
    ...inner.flatMap(([name, one]) => insideFaults(`${place}.${name}`, asObject(one))),
  ];
}

function isReferenceOrNull(anyOf: Json): boolean {
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return false;
  const [reference, other] = anyOf.map(asObject);
  return typeof reference?.$ref === "string" && other?.type === "null";
}

/** Schemas outside the components: of parameters and bodies. */
function inlineFaults(value: Json, place: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, at) => inlineFaults(item, `${place}.${at}`));
  }
  if (!isObject(value)) return [];
  return Object.entries(asObject(value)).flatMap(([name, one]) => {
    if (name === "example" || name === "examples") return [];
    const at = `${place}.${name}`;
    return name === "schema" ? insideFaults(at, asObject(one)) : inlineFaults(one, at);
  });
}

function operationFaults(paths: { [key: string]: Json }): string[] {
  return Object.values(paths).flatMap((item) =>
    Object.values(asObject(item)).map(asObject).flatMap((operation) => {
      const { operationId, tags, summary, description, security, parameters = [] } = operation;
      const roles = operation["x-roles"];
      const isOpen = Array.isArray(security) && security.length === 0;
      const named = [parameters].flat().map(asObject);
      return [
        ...(JSON.stringify(tags) ===
            JSON.stringify([tags].flat().filter((tag) => TAGS.includes(String(tag))).slice(0, 1))
          ? []
          : ["no tag of the list"]),
        ...(summary === undefined || description === undefined ? ["no description"] : []),
        ...(roles !== undefined && isOpen ? ["roles of an open operation"] : []),
        ...named.filter((parameter) => !("$ref" in parameter) && !("description" in parameter))
          .map(({ name }) => `parameter ${name} has no description`),
      ].map((fault) => `${operationId}: ${fault}`);
    })
  );
}

Deno.test("names and shapes of the contract follow the rules of docs/contract.md", () => {
  deepStrictEqual(faultsOf(readContract()), []);
});

const LOT = "components|schemas|Lot";

const BROKEN: [what: string, edit: (document: Json) => void][] = [
  [
    "a name that isn't a noun",
    (d) => set(d, "components|schemas|NewLot", { description: "A lot." }),
  ],
  ["a name in another form", (d) => set(d, "components|schemas|lot_type", { description: "A." })],
  ["a name of a response", (d) => set(d, "components|schemas|Conflict", { description: "A." })],
  ["a schema without a description", (d) => unset(d, `${LOT}|description`)],
  ["a property without a description", (d) => unset(d, `${LOT}|properties|lot_code|description`)],
  ["an unnamed object", (d) => set(d, `${LOT}|properties|metadata|type`, "object")],
  ["an unnamed enum", (d) => set(d, `${LOT}|properties|lot_code|enum`, ["a"])],
  ["an unnamed union", (d) => append(d, `${LOT}|properties|lot_type|anyOf`, { type: "string" })],
  ["a list of types", (d) => set(d, `${LOT}|properties|lot_code|type`, ["string", "number"])],
  ["a named schema that may be null", (d) => {
    set(d, "components|schemas|Decimal|type", ["string", "null"]);
  }],
  ["a named union", (d) => set(d, "components|schemas|TextInput|anyOf", [])],
  ["another tag", (d) => set(d, "paths|/api/lots|post|tags", ["Others"])],
  ["two tags", (d) => set(d, "paths|/api/lots|post|tags", ["Lots", "Quality"])],
  ["an operation without a description", (d) => unset(d, "paths|/api/lots|post|description")],
  ["a parameter without a description", (d) => {
    unset(d, "paths|/api/audits|get|parameters|0|description");
  }],
  ["an unnamed object as a body", (d) => {
    set(d, "paths|/api/lots|post|requestBody|content|application/json|schema", { type: "object" });
  }],
];

for (const [what, edit] of BROKEN) {
  Deno.test(`the rules refuse ${what}`, () => {
    const document = readContract();
    edit(document);
    ok(faultsOf(document).length > 0);
  });
}
