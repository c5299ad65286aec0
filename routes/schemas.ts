import { z } from "@hono/zod-openapi";
import { isTooDeep, JSON_DEPTH_LIMIT } from "../contract/json_depth.ts";
import { isBeyondYears, isMomentByWord, ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import {
  DECIMAL_PATTERN,
  hasAtMost,
  LOT_CODE_PATTERN,
  MAX_TEXT_CHARACTERS,
  UUID_PATTERN,
} from "../contract/request_values.ts";
import { type JsonFault, unstorable } from "../db/storable.ts";
import { parseJson } from "../json.ts";

/*
 * Shapes that several operations share. What a request may hold is what the old server took and
 * PostgreSQL can store; `openapi.yaml` says the same, and the drift test holds the two together.
 */

/** The message of a field: what it must be, or that it isn't there. */
export const must = (expected: string) => (issue: { readonly input?: unknown }) =>
  issue.input === undefined ? "is missing" : `must be ${expected}`;

/** Text without NUL, which PostgreSQL can't store, and of whole characters. */
export const StorableText = z.string().regex(/^[^\u0000]*$/, { error: "must not hold NUL" })
  .refine((value) => value.isWellFormed(), { error: "must not hold half of a surrogate pair" });

const LOT_CODE = "text of 1 to 650 characters (2,600 if all are ASCII) without NUL";

/**
 * The code people scan. Its bound is what an entry of the unique index can hold (about 2,700 bytes
 * of UTF-8, https://www.postgresql.org/docs/17/btree.html): 650 characters always fit.
 */
export const LotCode = z.string({ error: must(LOT_CODE) })
  .regex(LOT_CODE_PATTERN, { error: `must be ${LOT_CODE}` })
  .refine((value) => value.isWellFormed(), { error: "must not hold half of a surrogate pair" })
  // The generator would write the flag into the pattern.
  .openapi({ pattern: LOT_CODE_PATTERN.source });

const FREE_TEXT = `text of at most ${MAX_TEXT_CHARACTERS} characters without NUL`;

/** A field of free text. A number, true or false is taken too and stored as its text, as it always was. */
export const FreeText = z.union([
  StorableText.refine((value) => hasAtMost(MAX_TEXT_CHARACTERS, value), { error: must(FREE_TEXT) })
    .openapi({ maxLength: MAX_TEXT_CHARACTERS }),
  z.number(),
  z.boolean(),
  z.null(),
], { error: must(FREE_TEXT) })
  .transform((value) => value === null ? null : String(value));

const UUID = "a UUID, such as 11111111-1111-1111-1111-111111111101";

/** A UUID of any version, in either letter case. */
export const Uuid = z.string({ error: must(UUID) })
  .regex(/^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/, { error: `must be ${UUID}` })
  .openapi({ format: "uuid" });

const PLAIN_UUID = /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;
const UUID_GROUPS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** A UUID in a request, in every spelling that PostgreSQL reads; it comes out in the usual one. */
export const UuidIn = z.string({ error: must(UUID) })
  .regex(UUID_PATTERN, { error: `must be ${UUID}` })
  .transform((uuid) =>
    PLAIN_UUID.test(uuid)
      ? uuid
      : uuid.replaceAll(/[{}-]/g, "").replace(UUID_GROUPS, "$1-$2-$3-$4-$5").toLowerCase()
  );

const DECIMAL = 'a finite number, or a plain decimal as text such as "12.50"';

/** A decimal in a request: JSON number, or text that keeps its scale ("12.50"). */
export const DecimalIn = z.union([
  z.number(),
  z.string().regex(DECIMAL_PATTERN, { error: must(DECIMAL) }),
  z.null(),
], { error: must(DECIMAL) })
  // JavaScript's own spelling of a number is what the old server stored.
  .transform((value) => value === null ? null : String(value));

/** A decimal in an answer: text with its scale kept, kilograms or °C. */
export const DecimalOut = z.string().regex(/^(?:NaN|-?Infinity|-?[0-9]+(?:\.[0-9]+)?)$/).nullable();

const MOMENT = 'an RFC 3339 time, or a date with or without a time of day ("2026-01-19 10:11:12")';
const isFixed = (moment: string) => !isMomentByWord(moment);

/**
 * A moment in a request. Without a zone it is UTC. Its year in UTC has four digits, as that of a
 * `date-time` in an answer. The contract promises the spellings of RFC 3339 and their relatives; any
 * other, and a number such as 20260118, is PostgreSQL's to read (`db/moments.ts`).
 */
export const MomentIn = z.custom<string | null>(
  (value) => value === null || typeof value === "string" || typeof value === "number",
  { error: must(MOMENT) },
)
  .openapi({ type: ["string", "null"], pattern: ISO_MOMENT_PATTERN.source })
  .transform((moment) => moment === null ? null : String(moment))
  .refine((moment) => moment === null || !moment.includes("\0"), { error: "must not hold NUL" })
  .refine((moment) => moment === null || isFixed(moment), { error: `must be ${MOMENT}` })
  .refine((moment) => moment === null || !isBeyondYears(moment), {
    error: "must be in the years 0001 to 9999 of UTC",
  });

/** A moment in an answer: UTC with milliseconds, microseconds cut. */
export const MomentOut = z.string().nullable().openapi({ format: "date-time" });

/** Any JSON value. */
type Json = { [key: string]: unknown } | unknown[] | string | number | boolean | null;

/** Any JSON value, as the database gives it back. */
export const JsonOut = z.custom<Json>((value) => value !== undefined).openapi({
  type: ["object", "array", "string", "number", "boolean", "null"],
  additionalProperties: true,
  items: {},
});

// By a name, since the generator's types don't know this word of OpenAPI 3.1 in a literal.
const JSON_TEXT = { type: "string", contentMediaType: "application/json" } as const;

/**
 * Any JSON value in a request, as JSON text for the database. Text is taken to be a JSON document
 * already, as the old server did, and is handed on to the letter so that no digit is lost.
 */
export const JsonIn = z.union([
  z.string().openapi(JSON_TEXT),
  z.custom<Json>((value) => value !== undefined).openapi({
    type: ["object", "array", "number", "boolean"],
    additionalProperties: true,
    items: {},
  }),
]).transform((value, context): string | null => {
  if (value === null) return null;
  // The old server's driver wrote a list as PostgreSQL writes arrays: an empty one as "{}", which
  // is JSON as well. Other lists became no JSON and were refused; those are stored now.
  if (Array.isArray(value) && value.length === 0) return "{}";
  const parsed = typeof value === "string" ? parseJson(value) : value;
  const fault = faultOf(parsed);
  if (fault !== undefined) {
    context.addIssue({ code: "custom", message: fault.message, path: [...fault.path] });
    return z.NEVER;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
});

function faultOf(document: unknown): JsonFault | undefined {
  if (document === undefined) return { path: [], message: "is text that is not a JSON document" };
  if (isTooDeep(document)) {
    return { path: [], message: `is nested deeper than ${JSON_DEPTH_LIMIT}` };
  }
  return unstorable(document);
}

/** The kinds of lot: see docs/architecture.md for what each is. */
export const LotType = z.enum(["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"]);

/** A lot as every answer shows it: all columns of the table, in their order. */
export const Lot = z.strictObject({
  id: Uuid,
  lot_code: z.string(),
  lot_type: LotType.nullable(),
  production_run_id: Uuid.nullable(),
  phase_id: Uuid.nullable(),
  operator_id: Uuid.nullable(),
  weight_kg: DecimalOut,
  temperature_c: DecimalOut,
  metadata: JsonOut,
  created_at: MomentOut,
}).openapi("Lot");
