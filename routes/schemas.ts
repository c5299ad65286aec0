import { z } from "@hono/zod-openapi";
import { isTooDeep, JSON_DEPTH_LIMIT } from "../contract/json_depth.ts";
import { isBeyondYears, isMomentByWord, ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import { JSON_TYPES } from "../contract/remaining_types.ts";
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
 * Shapes that several operations share. Requests may contain what the old server took and
 * PostgreSQL can store; `openapi.yaml` says the same, and the drift test compares both.
 */

/** The message for a field that is wrong or missing. */
export const must = (expected: string) => (issue: { readonly input?: unknown }) =>
  issue.input === undefined ? "is missing" : `must be ${expected}`;

const NO_NUL = /^[^\x00]*$/;

/** Text that PostgreSQL stores: no NUL, no half of a surrogate pair. */
export const StorableText = z.string().regex(NO_NUL, { error: "must not hold NUL" })
  .refine((value) => value.isWellFormed(), { error: "must not hold half of a surrogate pair" });

const LOT_CODE = "text of 1 to 650 characters (2,600 if all are ASCII) without NUL";

/**
 * The code that people scan. An entry of the unique index holds about 2,700 bytes of UTF-8
 * (https://www.postgresql.org/docs/17/btree.html): 650 characters always fit.
 */
export const LotCodeInput = z.union([
  z.string({ error: must(LOT_CODE) })
    .regex(LOT_CODE_PATTERN, { error: `must be ${LOT_CODE}` })
    .refine((value) => value.isWellFormed(), { error: "must not hold half of a surrogate pair" }),
  z.number(),
  z.boolean(),
], { error: must("a lot code: text or a number") })
  .openapi({ type: ["string", "number", "boolean"], pattern: LOT_CODE_PATTERN.source })
  .transform(String);

const FREE_TEXT = `text of at most ${MAX_TEXT_CHARACTERS} characters without NUL`;

/** Free text. As in the old server, a number, true or false is stored as text. */
export const TextInput = z.union([
  StorableText.refine((value) => hasAtMost(MAX_TEXT_CHARACTERS, value), { error: must(FREE_TEXT) }),
  z.number(),
  z.boolean(),
  z.null(),
], { error: must(FREE_TEXT) })
  .openapi({
    type: ["string", "number", "boolean", "null"],
    pattern: NO_NUL.source,
    maxLength: MAX_TEXT_CHARACTERS,
  })
  .transform((value) => value === null ? null : String(value));

const UUID = "a UUID, such as 11111111-1111-1111-1111-111111111101";

const PLAIN_UUID = /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;

/** A UUID of any version, in upper or lower case. */
export const Uuid = z.string({ error: must(UUID) })
  .regex(PLAIN_UUID, { error: `must be ${UUID}` })
  .openapi({ format: "uuid" });

const UUID_GROUPS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** A UUID in any spelling that PostgreSQL reads, converted to the usual one. */
export const UuidInput = z.string({ error: must(UUID) })
  .regex(UUID_PATTERN, { error: `must be ${UUID}` })
  .transform((uuid) =>
    PLAIN_UUID.test(uuid)
      ? uuid
      : uuid.replaceAll(/[{}-]/g, "").replace(UUID_GROUPS, "$1-$2-$3-$4-$5").toLowerCase()
  );

const DECIMAL = 'a finite number, or a plain decimal as text such as "12.50"';

/** A decimal in a request: a JSON number, or text that keeps its scale ("12.50"). */
export const DecimalInput = z.union([
  z.number(),
  z.string().regex(DECIMAL_PATTERN, { error: must(DECIMAL) }),
  z.null(),
], { error: must(DECIMAL) })
  .openapi({ type: ["number", "string", "null"], pattern: DECIMAL_PATTERN.source })
  // The old server stored JavaScript's spelling of a number.
  .transform((value) => value === null ? null : String(value));

/** A decimal in a response: text that keeps its scale, in kilograms or °C. */
export const Decimal = z.string().regex(/^(?:NaN|-?Infinity|-?[0-9]+(?:\.[0-9]+)?)$/);

const MOMENT = 'an RFC 3339 time, or a date with or without a time of day ("2026-01-19 10:11:12")';
const isFixed = (moment: string) => !isMomentByWord(moment);

/**
 * A time in a request; without an offset it is in the plant's time zone. Its year in UTC has four
 * digits, as in the `date-time` of a response. The contract promises the spellings of RFC 3339 and their relatives.
 * PostgreSQL reads any other, also a number such as 20260118 (`db/moments.ts`).
 */
export const TimestampInput = z.custom<string | null>(
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

/** A time in a response: UTC with milliseconds, microseconds cut. */
export const Timestamp = z.string().openapi({ format: "date-time" });

/** Any JSON value in a response. */
export const JsonValue = z.custom<unknown>((value) => value !== undefined)
  .openapi({ type: [...JSON_TYPES] });

/**
 * Any JSON value in a request, as JSON text for the database. As in the old server, text must be a
 * JSON document itself; it is stored unchanged, so that no digit is lost.
 */
export const JsonValueInput = z.unknown().transform(
  (value, context): string | null => {
    if (value === null) return null;
    // The old server's driver sent a list as a PostgreSQL array: an empty list as "{}", which is
    // also JSON. Other lists were refused as invalid JSON; now they are stored.
    if (Array.isArray(value) && value.length === 0) return "{}";
    const parsed = typeof value === "string" ? parseJson(value) : value;
    const fault = faultOf(parsed);
    if (fault !== undefined) {
      context.addIssue({ code: "custom", message: fault.message, path: [...fault.path] });
      return z.NEVER;
    }
    return typeof value === "string" ? value : JSON.stringify(value);
  },
);

function faultOf(document: unknown): JsonFault | undefined {
  if (document === undefined) return { path: [], message: "is text that is not a JSON document" };
  if (isTooDeep(document)) {
    return { path: [], message: `is nested deeper than ${JSON_DEPTH_LIMIT}` };
  }
  return unstorable(document);
}

/** The page length that a query requests, as text. */
export const pageLimit = (max: number, defaultLength: number) => {
  const error = must(`a whole number from 1 to ${max}`);
  return z.string().regex(/^[0-9]+$/, { error }).transform(Number)
    .refine((count) => count >= 1 && count <= max, { error })
    .default(defaultLength)
    .openapi({ type: "integer", minimum: 1, maximum: max, default: defaultLength });
};

/** The kinds of lot: see docs/architecture.md for what each is. */
export const LotType = z.enum(["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"]);

/** The state of a trace or an audit. */
export const JobState = z.enum(["queued", "running", "done", "failed", "cancelled"]);

/** A lot in responses: all columns of the table, in their order. */
export const Lot = z.strictObject({
  id: Uuid,
  lot_code: z.string(),
  lot_type: LotType.nullable(),
  production_run_id: Uuid.nullable(),
  phase_id: Uuid.nullable(),
  operator_id: Uuid.nullable(),
  weight_kg: Decimal.nullable(),
  temperature_c: Decimal.nullable(),
  metadata: JsonValue,
  created_at: Timestamp.nullable(),
}).openapi("Lot");
