import type { Rule } from "./approvals.ts";
import { COMPARED_HEADERS, comparedValue, isWeakEtag } from "./compared_headers.ts";
import { digestOf } from "../exchange/body_capture.ts";
import { bodyDifferences } from "./json_diff.ts";
import { type Difference, differenceOf } from "../evidence/evidence.ts";
import { type CapturedRequest, type CapturedResponse, headerOf } from "../exchange/exchange.ts";
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
  inconclusiveBecause,
  isEtagOfCoding,
  withoutFrames,
} from "./comparable.ts";
import { decodedText } from "../exchange/decoded_body.ts";

export const MAX_DIFFERENCES = 20;

const MAX_CHARACTERS = 4_000;

export interface Pair {
  /** Undefined: the request is for none of the old operations. */
  readonly operation: LegacyOperation | undefined;
  readonly request: CapturedRequest;
  readonly legacy: CapturedResponse;
  readonly service: CapturedResponse;
  readonly times: Times;
  /**
   * Set when `legacy` is a recorded response: its generated values, of this or an earlier step. The text
   * of JSON must then be equal, too.
   */
  readonly recorded?: Generated;
}

export interface Comparison {
  /** `lost`: a body was too large to be captured, and the digests don't decide. */
  readonly outcome: "same" | "approved" | "different" | "lost";
  /** The ids of the approvals that were needed; empty unless `approved`. */
  readonly approvals: readonly string[];
  /** The rules of these approvals that were needed. */
  readonly used: readonly Rule[];
  /** Empty unless `different`; {@link MAX_DIFFERENCES} at most. */
  readonly differences: readonly Difference[];
}

/**
 * Compares the old server's response with Lotline's: status, the headers that clients rely on, a weak
 * ETag on both or neither, and the body as JSON with the text of its numbers. Generated values must be
 * valid; a trace's parents and children have no order; stack frames of error pages and compression
 * don't count. Only `rules` allow other differences.
 */
export function compare(pair: Pair, rules: readonly Rule[]): Comparison {
  const decoded = decodePair(pair);
  const found = differencesOf(decoded);
  const nothing = { approvals: [], used: [], differences: [] };
  if (found.length === 0) return { ...nothing, outcome: "same" };
  if (isInconclusive(decoded, found)) return { ...nothing, outcome: "lost" };
  const { used, differences } = judge({ ...decoded, differences: found }, rules);
  const approvals = [...new Set(used.map(({ id }) => id))];
  return differences.length === 0 ? { outcome: "approved", approvals, used, differences } : {
    ...nothing,
    outcome: "different",
    differences: differences.slice(0, MAX_DIFFERENCES).map(shortened),
  };
}

/**
 * The differences between two responses of one upstream, with the earlier one as the old server's. Two
 * signed tokens for one user are equal.
 */
export function changesBetween(
  earlier: CapturedResponse,
  later: CapturedResponse,
  { operation, request, times }: Pick<Pair, "operation" | "request" | "times">,
): readonly Difference[] {
  const pair = decodePair({ operation, request, legacy: earlier, service: later, times });
  const found = differencesOf(pair);
  const isNewToken = ({ place }: Difference) =>
    operation === "login" && place === "body.token" && isTokenOfUser(pair.legacy) &&
    isTokenOfUser(pair.service);
  return found.filter((difference) => !isNewToken(difference));
}

interface DecodedPair extends Pair {
  readonly legacy: DecodedResponse;
  readonly service: DecodedResponse;
}

function decodePair(pair: Pair): DecodedPair {
  return { ...pair, legacy: decodedResponse(pair.legacy), service: decodedResponse(pair.service) };
}

/**
 * Whether bodies that are unreadable or too large to be captured make the comparison inconclusive: they
 * may have the same links in another order, or more links than Lotline responds with.
 */
function isInconclusive({ legacy, service }: DecodedPair, found: readonly Difference[]): boolean {
  if (inconclusiveBecause(legacy, service) !== undefined) return true;
  if (legacy.digest === undefined && service.digest === undefined) return false;
  if (legacy.status === 200 && service.status === 413 && legacy.digest !== undefined) {
    return legacy.digest.bytes <= MAX_BYTES;
  }
  const [one, other] = [digestOf(legacy).bytes, digestOf(service).bytes];
  // Spaces and escapes don't double a body.
  return found.every(({ place }) => place === "body") &&
    Math.max(one, other) <= 2 * Math.min(one, other);
}

function differencesOf(pair: DecodedPair): Difference[] {
  const { legacy, service } = pair;
  const [was, is] = [String(legacy.status), String(service.status)];
  return [
    ...(was === is ? [] : [{ place: "status", legacy: was, service: is }]),
    ...headerDifferences(legacy, service),
    ...compareBodies(pair),
  ];
}

function headerDifferences(legacy: DecodedResponse, service: DecodedResponse): Difference[] {
  const found: Difference[] = [];
  const report = (name: string, was: string | undefined, is: string | undefined) =>
    found.push(differenceOf(`header ${name}`, was, is));
  for (const name of COMPARED_HEADERS) {
    const [was, is] = [headerOf(legacy.headers, name), headerOf(service.headers, name)];
    if (comparedValue(name, was) !== comparedValue(name, is)) report(name, was, is);
  }
  const [was, is] = [headerOf(legacy.headers, "etag"), headerOf(service.headers, "etag")];
  if (isEtagOfCoding(legacy, service)) return found;
  const isSameKind = (was === undefined) === (is === undefined) &&
    isWeakEtag(is) === isWeakEtag(was);
  // Clients' validators must stay valid when they move to the other upstream.
  const isJustified = was === is || digestOf(legacy).bytes === 0 || !haveSameBytes(legacy, service);
  if (!isSameKind || !isJustified) report("etag", was, is);
  return found;
}

const LINKED_LOTS: ReadonlySet<string> = new Set(["parents", "children"]);

function compareBodies(pair: DecodedPair): Difference[] {
  const { operation, request, legacy, service, times, recorded } = pair;
  // A recording is older, so equal bytes may be wrong.
  if (recorded === undefined && haveSameBytes(legacy, service)) return [];
  if (legacy.digest !== undefined || service.digest !== undefined) {
    const sizeOf = (response: CapturedResponse) => `${digestOf(response).bytes} bytes`;
    return [{ place: "body", legacy: sizeOf(legacy), service: sizeOf(service) }];
  }
  const [was, is] = [textOf(legacy), textOf(service)];
  const [legacyJson, serviceJson] = [parseLosslessJson(was), parseLosslessJson(is)];
  // A success and an error have no common fields.
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
  const valueOf = (value: string): LosslessJson => ({ kind: "string", value });
  const isSame = legacyPage === servicePage ||
    recorded?.("body", valueOf(legacyPage), valueOf(servicePage)) === true;
  return isSame ? [] : [{ place: "body", legacy: legacyPage, service: servicePage }];
}

/** Whether JSON is formatted as by `JSON.stringify`. */
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

/** A body as text; bytes that aren't UTF-8 are read as Latin-1. */
function textOf(response: DecodedResponse): string {
  return decodedText(response) ?? new TextDecoder("latin1").decode(response.body);
}

function shortened({ place, legacy, service }: Difference): Difference {
  const short = (text: string) =>
    text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
  return differenceOf(short(place), legacy && short(legacy), service && short(service));
}
