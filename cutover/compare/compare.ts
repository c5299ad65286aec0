import type { Rule } from "./approvals.ts";
import { withoutFrames } from "./error_page.ts";
import { COMPARED_HEADERS, comparedValue, isWeakEtag } from "./compared_headers.ts";
import { digestOf } from "../exchange/body_capture.ts";
import { bodyDifferences } from "./json_diff.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import {
  formatLosslessJson,
  type LosslessJson,
  parseLosslessJson,
} from "../exchange/lossless_json.ts";
import { MAX_BYTES } from "./conditions.ts";
import { isTokenOfUser, judge } from "./judge.ts";
import { type Generated, generatedFields, type Times } from "./generated_fields.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import {
  type DecodedResponse,
  decodedResponse,
  isEtagOfCoding,
  openBecause,
} from "./comparable.ts";
import { decodedText } from "../exchange/decoded_body.ts";

/** Differences of one comparison that are told at most. */
export const MAX_DIFFERENCES = 20;

/** Of each value this many characters are kept at most. */
const MAX_CHARACTERS = 4_000;

/** Both sides' answers to one request. */
export interface Pair {
  /** Undefined when the request asks for none of the old operations. */
  readonly operation: LegacyOperation | undefined;
  readonly request: CapturedRequest;
  readonly legacy: CapturedResponse;
  readonly service: CapturedResponse;
  readonly times: Times;
  /**
   * Of an answer that was recorded, in the place of the old server's: what it has generated, by itself or
   * in a step before. JSON must then be written the same way, too.
   */
  readonly recorded?: Generated;
}

/** What comparing two answers found. */
export interface Comparison {
  /** `lost`: a body was too large to be kept, and the digests don't settle it. */
  readonly outcome: "same" | "approved" | "different" | "lost";
  /** The approvals that were needed, by id; empty unless `approved`. */
  readonly approvals: readonly string[];
  /** The rules that these entries have. */
  readonly used: readonly Rule[];
  /** Empty unless `different`; {@link MAX_DIFFERENCES} at most. */
  readonly differences: readonly Difference[];
}

/**
 * Compares the old server's answer with Lotline's: status, the headers that clients rely on, a weak
 * ETag on both or neither, the body as JSON whose numbers keep their text. What each side makes up
 * must have its form; a trace's parents and children may come in any order; stack frames on an error
 * page don't count, nor does whether an answer is compressed. Only `rules` allow any other difference.
 */
export function compare(pair: Pair, rules: readonly Rule[]): Comparison {
  const plain = plainPair(pair);
  const found = differencesOf(plain);
  const nothing = { approvals: [], used: [], differences: [] };
  if (found.length === 0) return { ...nothing, outcome: "same" };
  if (isOpen(plain, found)) return { ...nothing, outcome: "lost" };
  const { used, differences } = judge({ ...plain, differences: found }, rules);
  const approvals = [...new Set(used.map(({ id }) => id))];
  return differences.length === 0 ? { outcome: "approved", approvals, used, differences } : {
    ...nothing,
    outcome: "different",
    differences: differences.slice(0, MAX_DIFFERENCES).map(shortened),
  };
}

/**
 * Where two answers of one and the same side differ, told as if the earlier were the old server's. Two
 * signed tokens for one user are the same.
 */
export function changesBetween(
  earlier: CapturedResponse,
  later: CapturedResponse,
  { operation, request, times }: Pick<Pair, "operation" | "request" | "times">,
): readonly Difference[] {
  const pair = plainPair({ operation, request, legacy: earlier, service: later, times });
  const found = differencesOf(pair);
  const isNewToken = ({ place }: Difference) =>
    operation === "login" && place === "body.token" && isTokenOfUser(pair.legacy) &&
    isTokenOfUser(pair.service);
  return found.filter((difference) => !isNewToken(difference));
}

interface PlainPair extends Pair {
  readonly legacy: DecodedResponse;
  readonly service: DecodedResponse;
}

function plainPair(pair: Pair): PlainPair {
  return { ...pair, legacy: decodedResponse(pair.legacy), service: decodedResponse(pair.service) };
}

/**
 * Whether bodies that can't be read, or were too large to be kept, leave it open what their difference
 * means: the same links in another order, or more links than Lotline answers with.
 */
function isOpen({ legacy, service }: PlainPair, found: readonly Difference[]): boolean {
  if (openBecause(legacy, service) !== undefined) return true;
  if (legacy.digest === undefined && service.digest === undefined) return false;
  if (legacy.status === 200 && service.status === 413 && legacy.digest !== undefined) {
    return legacy.digest.bytes <= MAX_BYTES;
  }
  const [one, other] = [digestOf(legacy).bytes, digestOf(service).bytes];
  // Spaces and escapes alone don't double a body.
  return found.every(({ place }) => place === "body") &&
    Math.max(one, other) <= 2 * Math.min(one, other);
}

function differencesOf(pair: PlainPair): Difference[] {
  const { legacy, service } = pair;
  const found: Difference[] = [];
  if (legacy.status !== service.status) {
    found.push({
      place: "status",
      legacy: String(legacy.status),
      service: String(service.status),
    });
  }
  found.push(...headerDifferences(legacy, service));
  found.push(...wholeBodyDifferences(pair));
  return found;
}

function headerDifferences(legacy: DecodedResponse, service: DecodedResponse): Difference[] {
  const found: Difference[] = [];
  const report = (name: string, was: string | undefined, is: string | undefined) =>
    found.push({
      place: `header ${name}`,
      ...(was !== undefined && { legacy: was }),
      ...(is !== undefined && { service: is }),
    });
  for (const name of COMPARED_HEADERS) {
    const [was, is] = [headerOf(legacy.headers, name), headerOf(service.headers, name)];
    if (comparedValue(name, was) !== comparedValue(name, is)) report(name, was, is);
  }
  const [was, is] = [headerOf(legacy.headers, "etag"), headerOf(service.headers, "etag")];
  if (isEtagOfCoding(legacy, service)) return found;
  const isKept = (was === undefined) === (is === undefined) && isWeakEtag(is) === isWeakEtag(was);
  // Clients' validators stay good when they move from one side to the other.
  const isEarned = was === is || digestOf(legacy).bytes === 0 || !haveSameBytes(legacy, service);
  if (!isKept || !isEarned) report("etag", was, is);
  return found;
}

const LINKED_LOTS: ReadonlySet<string> = new Set(["parents", "children"]);

function wholeBodyDifferences(pair: PlainPair): Difference[] {
  const { operation, request, legacy, service, times, recorded } = pair;
  // What was recorded is of another time, so the same bytes may be wrong.
  if (recorded === undefined && haveSameBytes(legacy, service)) return [];
  if (legacy.digest !== undefined || service.digest !== undefined) {
    const sizeOf = (response: CapturedResponse) => `${digestOf(response).bytes} bytes`;
    return [{ place: "body", legacy: sizeOf(legacy), service: sizeOf(service) }];
  }
  const [was, is] = [textOf(legacy), textOf(service)];
  const [legacyJson, serviceJson] = [parseLosslessJson(was), parseLosslessJson(is)];
  // A success and an error have nothing in common that could be told field by field.
  const areAlike = legacy.status < 400 === service.status < 400;
  if (areAlike && legacyJson !== undefined && serviceJson !== undefined) {
    const generated = recorded ??
      (legacy.status === service.status
        ? generatedFields(operation, legacy.status, request, times)
        : undefined);
    const unordered = operation === "getTraceability" ? LINKED_LOTS : new Set<string>();
    const found = bodyDifferences(
      legacyJson,
      serviceJson,
      { generated, unordered },
      MAX_DIFFERENCES,
    );
    if (found.length > 0 || recorded === undefined) return found;
    const isSameText = isCompact(was, legacyJson) ? isCompact(is, serviceJson) : was === is;
    return isSameText ? [] : [{ place: "body (spaces and escapes)", legacy: was, service: is }];
  }
  const [legacyPage, servicePage] = [withoutFrames(was), withoutFrames(is)];
  const isSame = legacyPage === servicePage ||
    recorded?.("body", textValue(legacyPage), textValue(servicePage)) === true;
  return isSame ? [] : [{ place: "body", legacy: legacyPage, service: servicePage }];
}

function textValue(value: string): LosslessJson {
  return { kind: "string", value };
}

/** Whether JSON is written as `JSON.stringify` writes it. */
function isCompact(text: string, json: LosslessJson): boolean {
  return text === formatLosslessJson(json);
}

function haveSameBytes(legacy: DecodedResponse, service: DecodedResponse): boolean {
  if (legacy.digest !== undefined || service.digest !== undefined) {
    const [was, is] = [digestOf(legacy), digestOf(service)];
    return was.bytes === is.bytes && was.sha256 === is.sha256;
  }
  const [was, is] = [legacy.body, service.body];
  return was.length === is.length && was.every((byte, i) => byte === is[i]);
}

/** A body as text; bytes that are no UTF-8 as what they would be in Latin-1. */
function textOf(response: DecodedResponse): string {
  return decodedText(response) ?? new TextDecoder("latin1").decode(response.body);
}

function shortened({ place, legacy, service }: Difference): Difference {
  const short = (text: string) =>
    text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
  return {
    place: short(place),
    ...(legacy !== undefined && { legacy: short(legacy) }),
    ...(service !== undefined && { service: short(service) }),
  };
}
