import { strictEqual } from "node:assert/strict";
import openapiTS, { astToString } from "openapi-typescript";
import { withNamedSchemas } from "./named_schemas.ts";

const DOCUMENT = {
  openapi: "3.1.0",
  info: { title: "Lots", version: "1" },
  paths: {
    "/lots": {
      get: {
        summary: "All lots.",
        description: "The newest first.",
        responses: {
          200: {
            description: "The lots.",
            content: { "application/json": { schema: { $ref: "#/components/schemas/LotPage" } } },
          },
        },
      },
    },
  },
  components: {
    schemas: {
      Decimal: { type: "string", description: "A decimal as text.", examples: ["12.50"] },
      Kind: { type: "string", enum: ["RAW", "MIX"] },
      Lot: {
        type: "object",
        description: "A lot:\nwhat is made at once.",
        required: ["weight", "kind", "taken", "made_at"],
        properties: {
          weight: { $ref: "#/components/schemas/Decimal" },
          taken: { anyOf: [{ $ref: "#/components/schemas/Decimal" }, { type: "null" }] },
          kind: { $ref: "#/components/schemas/Kind", description: "Its kind." },
          made_at: { type: "string", format: "date-time" },
        },
      },
      LotPage: {
        type: "object",
        required: ["lots"],
        properties: { lots: { type: "array", items: { $ref: "#/components/schemas/Lot" } } },
      },
    },
  },
};

Deno.test("each schema is a type at the top, with sentences for comments", async () => {
  const text = astToString(withNamedSchemas(await openapiTS(JSON.stringify(DOCUMENT))));
  const [before = "", named] = text.split(/^(?=\/\*\*\n \* A decimal)/m);
  strictEqual(
    named,
    `\
/**
 * A decimal as text.
 * @example 12.50
 */
export type Decimal = string;
export type Kind = "RAW" | "MIX";
/**
 * A lot:
 * what is made at once.
 */
export type Lot = {
    /** A decimal as text. */
    weight: Decimal;
    /** A decimal as text. */
    taken: Decimal | null;
    /** Its kind. */
    kind: Kind;
    made_at: string;
};
export type LotPage = {
    /**
     * A lot:
     * what is made at once.
     */
    lots: Lot[];
};
`,
  );
  const parts = [
    "        Lot: Lot;\n",
    '"application/json": LotPage;',
    "         * All lots.\n         *\n         * The newest first.\n",
  ];
  for (const part of parts) strictEqual(before.includes(part), true, part);
});
