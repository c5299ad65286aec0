import { z } from "zod";
import { isTooDeep } from "../../contract/json_depth.ts";
import { parseMediaType } from "../../contract/media_type.ts";
import { isBeyondYears, isMomentByWord, ISO_MOMENT_PATTERN } from "../../contract/moments.ts";
import {
  DECIMAL_PATTERN,
  hasAtMost,
  isLongDecimal,
  KEY_PATTERN,
  LOT_CODE_PATTERN,
  MAX_TEXT_CHARACTERS,
  UUID_PATTERN,
} from "../../contract/request_values.ts";
import { isObject, parseJson } from "../../json.ts";
import { type CapturedRequest, type CapturedResponse, headerOf } from "../exchange/exchange.ts";
import { type LegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import { decodedBytes, decodedText } from "../exchange/decoded_body.ts";
import { requestFields } from "../redact/contract_fields.ts";

export interface ConditionInput {
  readonly operation: LegacyOperation | undefined;
  readonly request: CapturedRequest;
  readonly legacy: CapturedResponse;
}

type Check = (input: ConditionInput) => boolean;

/** The conditions of live rules; approved.yaml describes each. */
const CONDITIONS = {
  bad_utf8: ({ request }) =>
    isSentAsJson(request) && decodedBytes(request) !== undefined &&
    decodedText(request) === undefined,
  beyond_years: (input) => {
    const moment = momentOf(input);
    if (typeof moment !== "string") return false;
    // If stored, the old server's response shows it; if refused for something else, only the text does.
    return isBeyondYears(moment) || wasStoredBeyondYears(input) ||
      input.legacy.status === 500 && !ISO_MOMENT_PATTERN.test(moment) && EDGE_YEAR.test(moment);
  },
  body_of_get: ({ request }) =>
    (request.method === "GET" || request.method === "HEAD") &&
    (request.body.length > 0 || headerOf(request.headers, "content-length") !== undefined ||
      headerOf(request.headers, "transfer-encoding") !== undefined),
  empty_lot_code: ({ request }) => fieldsOf(request)?.lot_code === "",
  error_page: ({ request, legacy }) =>
    headerOf(legacy.headers, "content-type")?.startsWith("text/html") === true &&
    (request.method === "HEAD" || isErrorPage(decodedText(legacy) ?? "")),
  key_made_sql: (input) => foreignKeys(input).some((key) => !isPlainName(key)),
  lone_surrogate: ({ request }) =>
    holds(request, (value) => typeof value === "string" && !value.isWellFormed()),
  many_links: ({ legacy }) => hasManyLinks(legacy),
  metadata_list: ({ request }) => {
    const metadata = fieldsOf(request)?.metadata;
    return Array.isArray(metadata) && metadata.length > 0;
  },
  metadata_not_json: ({ request }) => {
    const metadata = fieldsOf(request)?.metadata;
    return typeof metadata === "string" && parseJson(metadata) === undefined;
  },
  moment_by_word: (input) => {
    const moment = momentOf(input);
    return typeof moment === "string" && isMomentByWord(moment);
  },
  no_fields: ({ request }) => {
    const document = documentOf(request);
    return textOf(request) === "" || Array.isArray(document) ||
      document !== undefined && Object.keys(document).length === 0;
  },
  not_finite: ({ request }) =>
    // A number beyond the largest double is parsed as infinite.
    holds(request, (value) => typeof value === "number" && !Number.isFinite(value)) ||
    textsOf(request, DECIMALS).some((text) => NOT_FINITE.test(text)),
  not_json: ({ request }) => !isSentAsJson(request),
  not_text: ({ request }) =>
    Object.entries(fieldsOf(request) ?? {}).some(([name, value]) =>
      name !== "metadata" && typeof value === "object" && value !== null
    ),
  nul: ({ request }) =>
    /%00/.test(request.target) ||
    holds(request, (value) => typeof value === "string" && value.includes("\0")),
  other_charset: ({ request }) => {
    const { name, charset } = parseMediaType(headerOf(request.headers, "content-type")) ?? {};
    return name === "application/json" && charset !== undefined && charset !== "utf-8";
  },
  other_method: ({ operation, request }) => {
    const own = OPERATIONS.find((one) => one.operation === operation)?.method;
    return request.method !== own && !(own === "GET" && request.method === "HEAD");
  },
  refused_value: ({ legacy }) => REFUSED.test(serverError(legacy)),
  taken: ({ legacy }) =>
    /^duplicate key value violates unique constraint /.test(serverError(legacy)),
  too_deep: ({ request }) => documentsOf(request).some(isTooDeep),
  too_long: ({ request }) =>
    textsOf(request, ["lot_code"]).some((text) => text !== "" && !LOT_CODE_PATTERN.test(text)) ||
    textsOf(request, FREE_TEXTS).some((text) => !hasAtMost(MAX_TEXT_CHARACTERS, text)) ||
    textsOf(request, DECIMALS).some(isLongDecimal),
  unfit_field: ({ request }) => {
    const fields = fieldsOf(request);
    return fields !== undefined && !LotForm.safeParse(fields).success;
  },
  unfit_key: ({ request }) => {
    const keys = request.headers.filter(([name]) => name.toLowerCase() === "idempotency-key");
    return keys.length > 1 || keys.some(([, key]) => !KEY_PATTERN.test(key));
  },
  unknown_field: (input) => {
    const keys = foreignKeys(input);
    return keys.length > 0 && keys.every(isPlainName);
  },
  unknown_reference: ({ legacy }) => / violates foreign key constraint /.test(serverError(legacy)),
} satisfies Record<string, Check>;

export type Condition = keyof typeof CONDITIONS;

export function isCondition(name: unknown): name is Condition {
  return typeof name === "string" && Object.hasOwn(CONDITIONS, name);
}

export function isMet(condition: Condition, input: ConditionInput): boolean {
  const check: Check = CONDITIONS[condition];
  return check(input);
}

// PostgreSQL's messages for invalid values; those for JSON belong to another approval.
const REFUSED = new RegExp([
  "^null value in column .* violates not-null constraint",
  "violates check constraint",
  "^invalid input syntax for type (?!json)",
  "^invalid input value for ",
  "^invalid byte sequence for encoding ",
  "^unsupported Unicode escape sequence",
  "^malformed array literal",
  "out of range",
  "^value overflows numeric format",
  "^time zone .* not recognized",
  "^index row (?:size|requires) ",
].join("|"));

const DECIMALS = ["weight_kg", "temperature_c"];
const FREE_TEXTS = ["notes", "digital_signature"];
/** PostgreSQL's numeric reads these as NaN or infinite. */
const NOT_FINITE = /^\s*(?:nan|[+-]?inf(?:inity)?)\s*$/i;

const Uuid = z.string().regex(UUID_PATTERN).nullish();
// Also a number beyond the largest double, which another condition judges.
const Decimal = z.custom((value) => typeof value === "number")
  .or(z.string().regex(DECIMAL_PATTERN)).nullish();

/** The contract's forms of a lot's fields, except the text of a code and metadata. */
const LotForm = z.object({
  lot_code: z.custom((value) => value !== undefined && value !== null),
  lot_type: z.enum(["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"]).nullish(),
  id: Uuid,
  production_run_id: Uuid,
  phase_id: Uuid,
  operator_id: Uuid,
  weight_kg: Decimal,
  temperature_c: Decimal,
  created_at: z.string().regex(ISO_MOMENT_PATTERN).nullish(),
});

/** Possibly a year beyond 9999 or before 0001, also by its offset. */
const EDGE_YEAR = /\d{5}|BC|0001|9999/i;

const FOUR_DIGIT_YEAR = /^(?!0000)\d{4}-/;

function momentOf({ operation, request }: ConditionInput, row = fieldsOf(request)): unknown {
  return operation === "createLot" ? row?.created_at : row?.decided_at;
}

/** Whether the old server stored the moment and responded with a year that isn't four digits. */
function wasStoredBeyondYears(input: ConditionInput): boolean {
  if (input.legacy.status !== 201) return false;
  const row = parseJson(decodedText(input.legacy) ?? "");
  if (!isObject(row)) return false;
  const shown = momentOf(input, row);
  return shown === null || typeof shown === "string" && !FOUR_DIGIT_YEAR.test(shown);
}

// Beyond this Lotline responds with 413: see GET /api/traceability/{lotCode} in openapi.yaml.
const MAX_LINKS = 250_000;
/** The size of Lotline's largest trace. */
export const MAX_BYTES = 134_217_728;

function hasManyLinks(legacy: CapturedResponse): boolean {
  if ((legacy.digest?.bytes ?? legacy.body.length) > MAX_BYTES) return true;
  // A link has about a hundred bytes, at least two.
  if (legacy.body.length < 2 * MAX_LINKS) return false;
  const trace = parseJson(decodedText(legacy) ?? "");
  if (!isObject(trace)) return false;
  const lengthOf = (list: unknown) => Array.isArray(list) ? list.length : 0;
  return lengthOf(trace.parents) + lengthOf(trace.children) > MAX_LINKS;
}

// In the old server's statement a plain lower-case name can only be a column.
function isPlainName(key: string): boolean {
  return /^[a-z_][a-z0-9_]*$/.test(key);
}

function foreignKeys({ operation, request }: ConditionInput): string[] {
  if (operation !== "createLot" && operation !== "createQcDecision") return [];
  const fields = requestFields(operation);
  return Object.keys(fieldsOf(request) ?? {}).filter((key) => !Object.hasOwn(fields, key));
}

/** The message of an old server's 500, which is its database's. */
export function serverError(legacy: CapturedResponse): string {
  if (legacy.status !== 500) return "";
  const body = parseJson(decodedText(legacy) ?? "");
  return isObject(body) && typeof body.error === "string" ? body.error : "";
}

/** The fields of a request's body; undefined unless it is a JSON object. */
export function fieldsOf(request: CapturedRequest): Record<string, unknown> | undefined {
  const document = documentOf(request);
  return isObject(document) ? document : undefined;
}

/** A request's body as text without escapes. */
export function textSent(request: CapturedRequest): string {
  const text = decodedText(request) ?? "";
  try {
    return JSON.stringify(documentOf(request)) ?? text;
  } catch {
    // It is nested too deep to be stringified.
    return text;
  }
}

function documentOf(request: CapturedRequest): object | undefined {
  if (request.body.length === 0 || !isSentAsJson(request)) return undefined;
  const document = parseJson(textOf(request) ?? "");
  return typeof document === "object" && document !== null ? document : undefined;
}

/** Without the BOM, which the old server skips. */
function textOf(request: CapturedRequest): string | undefined {
  return decodedText(request)?.replace(/^\uFEFF/, "");
}

/** The body and, when `metadata` is text, the document in it. */
function documentsOf(request: CapturedRequest): unknown[] {
  const metadata = fieldsOf(request)?.metadata;
  const document = documentOf(request);
  return typeof metadata === "string" ? [document, parseJson(metadata)] : [document];
}

function textsOf(request: CapturedRequest, names: readonly string[]): string[] {
  const fields = fieldsOf(request) ?? {};
  return names.map((name) => fields[name]).filter((value) => typeof value === "string");
}

function isSentAsJson(request: CapturedRequest): boolean {
  return parseMediaType(headerOf(request.headers, "content-type"))?.name === "application/json";
}

/** Whether a value or a key of the body matches. Without recursion: its depth is unbounded. */
function holds(request: CapturedRequest, matches: (value: unknown) => boolean): boolean {
  const waiting = documentsOf(request);
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (matches(value)) return true;
    if (typeof value !== "object" || value === null) continue;
    for (const [key, item] of Object.entries(value)) {
      if (matches(key)) return true;
      waiting.push(item);
    }
  }
  return false;
}

/** Whether this is an HTML error page of the old server's framework. */
export function isErrorPage(body: string): boolean {
  if (!/^<!DOCTYPE html>\s*<html lang="en">/.test(body)) return false;
  const title = body.indexOf("<title>Error</title>");
  return title !== -1 && body.includes("<pre>", title);
}
