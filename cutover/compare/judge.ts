import { Buffer } from "node:buffer";
import { z } from "zod";
import { isObject, parseJson } from "../../json.ts";
import type { Rule } from "./approvals.ts";
import { isWeakEtag } from "./compared_headers.ts";
import { type ConditionInput, isMet, textSent } from "./conditions.ts";
import type { Difference } from "../evidence/evidence.ts";
import { type CapturedRequest, type CapturedResponse, headerOf } from "../exchange/exchange.ts";
import { fieldOf, parseLosslessJson, stringOf } from "../exchange/lossless_json.ts";
import { decodedText } from "../exchange/decoded_body.ts";

interface Mismatch extends ConditionInput {
  readonly service: CapturedResponse;
  readonly differences: readonly Difference[];
}

/**
 * Applies the rules to a mismatch: first those for headers, then to the rest one for the complete
 * response, or those for single places.
 *
 * @returns the rules that were needed, if they allow all differences, and the differences that no rule
 *     allows
 */
export function judge(
  mismatch: Mismatch,
  rules: readonly Rule[],
): { readonly used: readonly Rule[]; readonly differences: readonly Difference[] } {
  const { operation, legacy, service } = mismatch;
  const candidates = rules.filter((rule) =>
    (rule.operation === undefined || rule.operation === operation) &&
    rule.legacy?.includes(legacy.status) !== false && rule.service.includes(service.status)
  );
  const used = new Set<Rule>();
  const without = (
    differences: readonly Difference[],
    isAllowed: (rule: Rule) => boolean,
  ): readonly Difference[] =>
    differences.filter(({ place }) => {
      const rule = candidates.find((candidate) => candidate.place === place);
      if (rule === undefined || !isAllowed(rule)) return true;
      used.add(rule);
      return false;
    });
  const rest = without(mismatch.differences, ({ place }) => place !== TOKEN);
  const complete = rest.length === 0
    ? undefined
    : candidates.find(({ when, place }) =>
      place === undefined && (when === undefined || isMet(when, mismatch))
    );
  if (complete !== undefined) {
    const faults = formFaults({ ...mismatch, differences: rest });
    return faults.length === 0
      ? { used: [...used.add(complete)], differences: [] }
      : { used: [], differences: [...rest, ...faults] };
  }
  const differences = without(rest, ({ place }) => place === TOKEN && isTokenOfUser(service));
  return { used: differences.length === 0 ? [...used] : [], differences };
}

const TOKEN = "body.token";

// An error response has its own, so that these may change with it.
const OF_ERRORS = new Set(["content-type", "allow"]);

/** The mistakes in Lotline's response besides the approved change. */
function formFaults({ request, legacy, service, differences }: Mismatch): Difference[] {
  // Another response has another ETag, or none; an error page had none.
  const isAnother = legacy.status !== service.status ||
    legacy.status >= 400 && headerOf(legacy.headers, "etag") === undefined;
  const isStillSuccess = legacy.status < 400 && service.status < 400;
  const other = differences.filter(({ place }) => {
    if (isStillSuccess && place.startsWith("body")) return true;
    const [, header] = /^header (.*)$/.exec(place) ?? [];
    return header !== undefined && !OF_ERRORS.has(header) && !(header === "etag" && isAnother);
  });
  const faults = service.status < 400 ? successFaults(service) : errorFaults(request, service);
  return [
    ...other.map(({ place }) => ({ place: `form: ${place} may not change` })),
    ...faults.map((fault) => ({ place: "form", service: fault })),
  ];
}

function successFaults({ status, headers }: CapturedResponse): string[] {
  // A 304 has no body and no content type.
  const type = status === 304 ? JSON_TYPE : headerOf(headers, "content-type") ?? "(none)";
  const faults = type === JSON_TYPE ? [] : [`a success with content-type ${type}`];
  return isWeakEtag(headerOf(headers, "etag"))
    ? faults
    : [...faults, "a success without weak ETag"];
}

const SIGNED_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]{20,}$/;
const ASYMMETRIC = /^(ES|RS|PS)\d+$|^EdDSA$|^Ed25519$/;

/**
 * Whether a login's response has a JWT for the user beside it, with an asymmetric signature, which isn't
 * verified.
 */
export function isTokenOfUser(response: CapturedResponse): boolean {
  const body = parseLosslessJson(decodedText(response) ?? "");
  const token = stringOf(fieldOf(body, "token")) ?? "";
  const user = stringOf(fieldOf(fieldOf(body, "user"), "id"));
  if (!user || !SIGNED_TOKEN.test(token)) return false;
  const [header, claims] = token.split(".").map((part) =>
    parseJson(Buffer.from(part, "base64url").toString())
  );
  return isObject(header) && typeof header.alg === "string" && ASYMMETRIC.test(header.alg) &&
    isObject(claims) && claims.sub === user;
}

const ErrorBody = z.strictObject({
  error: z.string().min(1),
  details: z.array(z.strictObject({ path: z.string(), message: z.string().min(1) })).min(1)
    .optional(),
});

// Words from the internals of a server.
const INTERNALS =
  /syntax error|violates|duplicate key|relation "|column "|constraint|invalid (?:input|byte)|sqlstate|node_modules|postgres|insert into|<pre>/gi;

function showsFrame(text: string): boolean {
  return text.split(/[\n\r\u2028\u2029]/).some((line) => {
    const at = line.search(/\bat /i);
    return at !== -1 && /\.m?[jt]s/i.test(line.slice(at));
  });
}

/** The content type of JSON in all responses of both servers. */
const JSON_TYPE = "application/json; charset=utf-8";

/**
 * The mistakes in the form of Lotline's error response: its content type, `Allow` with a 405, and a
 * body `{"error": text}` without internals. The client's own words in it reveal none.
 */
export function errorFaults(request: CapturedRequest, response: CapturedResponse): string[] {
  const faults: string[] = [];
  const { status, headers } = response;
  if (status === 405 && !headerOf(headers, "allow")) faults.push("405 without Allow");
  const type = headerOf(headers, "content-type") ?? "(none)";
  if (type !== JSON_TYPE) faults.push(`an error with content-type ${type}`);
  // Its response has no body.
  if (request.method === "HEAD") return faults;
  const body = decodedText(response) ?? "";
  if (!ErrorBody.safeParse(parseJson(body)).success) {
    faults.push(`no {"error": text}: ${body.slice(0, 120)}`);
  }
  if (revealsInternals(body, textSent(request))) {
    faults.push(`reveals internals: ${body.slice(0, 160)}`);
  }
  return faults;
}

function revealsInternals(body: string, sent: string): boolean {
  // JSON escapes the quotation marks of a name.
  const [plain, own] = [body, sent].map((text) => text.replaceAll("\\", ""));
  if (plain === undefined || own === undefined) return false;
  const known = own.toLowerCase();
  return plain.match(INTERNALS)?.some((word) => !known.includes(word.toLowerCase())) === true ||
    (showsFrame(plain) && !showsFrame(own));
}
