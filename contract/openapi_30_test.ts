import { deepStrictEqual, throws } from "node:assert/strict";
import { toOpenapi30 } from "./openapi_30.ts";

function convert(schema: unknown) {
  const { components } = toOpenapi30({
    openapi: "3.1.0",
    info: {},
    components: { schemas: { A: schema } },
  });
  return components;
}

const REF = { $ref: "#/components/schemas/B" };

const TRANSLATED: [what: string, schema: unknown, expected: unknown][] = [
  ["a type or null", { type: ["string", "null"] }, { type: "string", nullable: true }],
  ["a reference or null", { anyOf: [REF, { type: "null" }], description: "B." }, {
    allOf: [REF],
    nullable: true,
    description: "B.",
  }],
  ["a reference alone", REF, REF],
  ["a reference with a description", { ...REF, description: "B." }, {
    allOf: [REF],
    description: "B.",
  }],
  ["any value", {}, { nullable: true }],
  ["one value", { const: 1 }, { enum: [1] }],
  ["examples", { type: "string", examples: ["a", "b"] }, { type: "string", example: "a" }],
  ["a list of anything", { type: "array" }, { type: "array", items: {} }],
  ["values of several types", { not: { type: ["array", "boolean"] }, maxLength: 2 }, {
    nullable: true,
    not: {
      anyOf: [
        { type: "array", items: {} },
        { type: "boolean" },
        { type: "string", not: { maxLength: 2 } },
      ],
    },
  }],
  ["values of several types, not null", { not: { type: ["object", "null"] } }, {
    not: { anyOf: [{ type: "object" }, { enum: [null] }] },
  }],
  ["any value with rules", {
    not: {
      not: {
        pattern: "^a",
        propertyNames: { pattern: "^b" },
        additionalProperties: REF,
        items: REF,
      },
    },
  }, {
    "x-property-names": { pattern: "^b" },
    nullable: true,
    not: {
      anyOf: [
        { type: "string", not: { pattern: "^a" } },
        { type: "array", items: {}, not: { items: REF } },
        { type: "object", not: { additionalProperties: REF } },
      ],
    },
  }],
  ["the inside of an object", {
    type: "object",
    properties: { type: { type: ["integer", "null"] }, "x-y": { const: true } },
    additionalProperties: {},
  }, {
    type: "object",
    properties: { type: { type: "integer", nullable: true }, "x-y": { enum: [true] } },
    additionalProperties: {},
  }],
];

for (const [what, schema, expected] of TRANSLATED) {
  Deno.test(`OpenAPI 3.0 has ${what}`, () => {
    deepStrictEqual(convert(schema), { schemas: { A: expected } });
  });
}

const REFUSED: [what: string, document: Record<string, unknown>][] = [
  ["several types without a name", {
    components: { schemas: { A: { type: ["string", "number"] } } },
  }],
  ["the type null", { components: { schemas: { A: { type: "null" } } } }],
  ["a keyword that 3.0 lacks", { components: { schemas: { A: { prefixItems: [] } } } }],
  ["a keyword of another meaning", { components: { schemas: { A: { exclusiveMinimum: 1 } } } }],
  ["an unnamed union or null", {
    components: { schemas: { A: { anyOf: [REF, REF, { type: "null" }] } } },
  }],
  ["a schema that is true", { components: { schemas: { A: true } } }],
  ["webhooks", { webhooks: {} }],
  ["path items among the components", { components: { pathItems: {} } }],
  ["a kind of security that 3.0 lacks", {
    components: { securitySchemes: { A: { type: "mutualTLS" } } },
  }],
  ["words beside a reference", {
    paths: { "/a": { get: { responses: { 200: { $ref: "#/a", description: "A." } } } } },
  }],
  ["another version", { openapi: "3.2.0" }],
];

for (const [what, document] of REFUSED) {
  Deno.test(`${what} can't be converted to OpenAPI 3.0`, () => {
    throws(() => toOpenapi30({ openapi: "3.1.0", info: {}, ...document }), /3\.0|3\.1|name|object/);
  });
}

Deno.test("an example, a default and an extension stay as they are", () => {
  const value = { type: ["string", "null"], $ref: "a", const: 1 };
  const paths = {
    "/a": { post: { "x-a": value, requestBody: { content: { b: { example: value } } } } },
  };
  const document = { openapi: "3.1.0", info: {}, paths };
  deepStrictEqual(toOpenapi30(document), { openapi: "3.0.3", info: {}, paths });
});

Deno.test("the summary and the license's name are translated", () => {
  const info = {
    title: "A",
    summary: "B.",
    description: "C.",
    license: { name: "MIT", identifier: "MIT" },
  };
  deepStrictEqual(toOpenapi30({ openapi: "3.1.0", info }).info, {
    title: "A",
    description: "B.\n\nC.",
    license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" },
  });
});
