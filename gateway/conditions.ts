import { isBeyondYears } from "../contract/moments.ts";
import type { components } from "../contract/types.gen.ts";
import type { Condition } from "../parity/approvals.ts";
import { isErrorPage } from "../parity/error_page.ts";
import type { CapturedAnswer, CapturedRequest } from "./exchange.ts";
import { headerOf } from "./header_value.ts";
import { type OldOperation, OPERATIONS } from "./operations.ts";
import { plainText } from "./plain_body.ts";

type Schemas = components["schemas"];

// Records instead of lists: the compiler then asks for every field.
const FIELDS_OF_LOT: Record<keyof Schemas["NewLot"], true> = {
  id: true,
  lot_code: true,
  lot_type: true,
  production_run_id: true,
  phase_id: true,
  operator_id: true,
  weight_kg: true,
  temperature_c: true,
  metadata: true,
  created_at: true,
};
const FIELDS_OF_DECISION: Record<keyof Schemas["NewQcDecision"], true> = {
  id: true,
  lot_id: true,
  qc_gate_id: true,
  operator_id: true,
  decision: true,
  notes: true,
  temperature_c: true,
  digital_signature: true,
  decided_at: true,
};

/** What a condition may look at: the request, and what the old server made of it. */
export interface ConditionInput {
  readonly operation: OldOperation;
  readonly request: CapturedRequest;
  readonly legacy: CapturedAnswer;
}

/** Whether an exchange is one that a live rule is about; approved.yaml says what each means. */
export function isMet(condition: Condition, input: ConditionInput): boolean {
  return CONDITIONS[condition](input);
}

const CONDITIONS: Record<Condition, (input: ConditionInput) => boolean> = {
  beyond_years: ({ operation, request }) => {
    const fields = fieldsOf(request);
    const moment = operation === "createLot" ? fields?.created_at : fields?.decided_at;
    return typeof moment === "string" && isBeyondYears(moment);
  },
  body_of_get: ({ request }) =>
    (request.method === "GET" || request.method === "HEAD") && request.body.length > 0,
  empty_lot_code: ({ request }) => fieldsOf(request)?.lot_code === "",
  error_page: ({ request, legacy }) =>
    headerOf(legacy.headers, "content-type")?.startsWith("text/html") === true &&
    (request.method === "HEAD" || isErrorPage(plainText(legacy) ?? "")),
  key_made_sql: (input) => foreignKeys(input).some((key) => !isPlainName(key)),
  lone_surrogate: ({ request }) => holdsLoneSurrogate(documentOf(request)),
  many_links: ({ legacy }) => hasManyLinks(legacy),
  metadata_list: ({ request }) => {
    const metadata = fieldsOf(request)?.metadata;
    return Array.isArray(metadata) && metadata.length > 0;
  },
  metadata_not_json: ({ request }) => {
    const metadata = fieldsOf(request)?.metadata;
    return typeof metadata === "string" && parseJson(metadata) === undefined;
  },
  no_fields: ({ request }) => {
    const document = documentOf(request);
    return request.body.length === 0 || Array.isArray(document) ||
      document !== undefined && Object.keys(document).length === 0;
  },
  not_json: ({ request }) => request.body.length > 0 && !isSentAsJson(request),
  nul: ({ request }) => {
    const email = fieldsOf(request)?.email;
    return /%00/.test(request.target) || typeof email === "string" && email.includes("\0");
  },
  other_method: ({ operation, request }) => {
    const own = OPERATIONS.find((one) => one.operation === operation)?.method;
    return request.method !== own && !(own === "GET" && request.method === "HEAD");
  },
  refused_value: ({ legacy }) => REFUSED.test(wordsOf(legacy)),
  taken: ({ legacy }) => /^duplicate key value violates unique constraint /.test(wordsOf(legacy)),
  unknown_field: (input) => {
    const keys = foreignKeys(input);
    return keys.length > 0 && keys.every(isPlainName);
  },
  unknown_reference: ({ legacy }) => / violates foreign key constraint /.test(wordsOf(legacy)),
};

// What PostgreSQL says of a value that it can't take. JSON is another approval's matter.
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

// What Lotline answers with 413, see GET /api/traceability/{lotCode} in openapi.yaml.
const MAX_LINKS = 250_000;
/** Lotline answers with no longer trace, in bytes. */
export const MAX_BYTES = 134_217_728;

function hasManyLinks(legacy: CapturedAnswer): boolean {
  if ((legacy.digest?.bytes ?? legacy.body.length) > MAX_BYTES) return true;
  // A link is some hundred bytes, two at the least.
  if (legacy.body.length < 2 * MAX_LINKS) return false;
  const trace = parseJson(plainText(legacy) ?? "");
  if (!isObject(trace)) return false;
  const { parents, children } = trace;
  return [parents, children].flatMap((side) => Array.isArray(side) ? [side.length] : [])
    .reduce((sum, links) => sum + links, 0) > MAX_LINKS;
}

// A plain lower-case name can't be anything but a column's in the old server's statement.
function isPlainName(key: string): boolean {
  return /^[a-z_][a-z0-9_]*$/.test(key);
}

function foreignKeys({ operation, request }: ConditionInput): string[] {
  const fields = operation === "createLot"
    ? FIELDS_OF_LOT
    : operation === "createQcDecision"
    ? FIELDS_OF_DECISION
    : undefined;
  if (fields === undefined) return [];
  return Object.keys(fieldsOf(request) ?? {}).filter((key) => !Object.hasOwn(fields, key));
}

/** The old server's words for a failure: its database's. */
export function wordsOf(legacy: CapturedAnswer): string {
  if (legacy.status !== 500) return "";
  const body = parseJson(plainText(legacy) ?? "");
  return isObject(body) && typeof body.error === "string" ? body.error : "";
}

/** The keys and values that a request's body names; nothing unless it is a JSON object. */
export function fieldsOf(request: CapturedRequest): Record<string, unknown> | undefined {
  const document = documentOf(request);
  return isObject(document) ? document : undefined;
}

function documentOf(request: CapturedRequest): object | undefined {
  if (request.body.length === 0 || !isSentAsJson(request)) return undefined;
  // The old server skips a BOM.
  const document = parseJson((plainText(request) ?? "").replace(/^\uFEFF/, ""));
  return typeof document === "object" && document !== null ? document : undefined;
}

function isSentAsJson(request: CapturedRequest): boolean {
  const type = headerOf(request.headers, "content-type") ?? "";
  return /^\s*application\/json\s*(?:;|$)/i.test(type);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Goes without recursion: what a client sends may be nested without end. */
function holdsLoneSurrogate(document: unknown): boolean {
  const waiting = [document];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "string" && !value.isWellFormed()) return true;
    if (typeof value !== "object" || value === null) continue;
    for (const [key, item] of Object.entries(value)) {
      if (!key.isWellFormed()) return true;
      waiting.push(item);
    }
  }
  return false;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
