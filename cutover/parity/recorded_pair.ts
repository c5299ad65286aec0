import type { Pair } from "../compare/compare.ts";
import type { Generated } from "../compare/generated_fields.ts";
import { isWeakEtag } from "../compare/compared_headers.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import { type LosslessJson, stringOf } from "../exchange/lossless_json.ts";
import { findOperation } from "../exchange/match_operation.ts";
import { isLegacyOperation, type LegacyOperation } from "../exchange/operations.ts";
import { fitsPseudonyms } from "../redact/pseudonyms.ts";
import { bytesOf, type ReceivedResponse } from "./exchange.ts";
import type { Exchange } from "./recordings.ts";

/** Distinguishes values that a server generates (new ids, the present time) from those it must return. */
export interface Known {
  /** The seed and the request as text: a UUID or a time in it isn't generated. */
  given: string;
  /** When the recording was made: a time outside (UTC, milliseconds) wasn't generated. */
  recorded: { from: string; to: string };
  /** When the actual responses were made, with some minutes for two clocks. */
  actual: { from: string; to: string };
  /**
   * The actual value of each recorded generated value in this scenario so far. Comparing fills it: a
   * generated id must stay the same from then on.
   */
  made: Map<string, string>;
}

/** The old operation that a request matches, if any. */
export function operationOf(method: string, path: string): LegacyOperation | undefined {
  const operation = findOperation(method, path);
  return operation !== undefined && isLegacyOperation(operation) ? operation : undefined;
}

/** A recorded and an actual response, to be compared as the gateway compares those of two servers. */
export function pairOf(
  { request, response }: Exchange,
  received: ReceivedResponse,
  known: Known,
): Pair {
  const { method, path } = request;
  // Recorded is only that there was an ETag: any weak one matches.
  const etag = response.etag && (isWeakEtag(received.etag) ? received.etag : 'W/"recorded"');
  return {
    operation: operationOf(method, path),
    request: {
      method,
      target: path,
      headers: Object.entries(request.headers),
      body: bytesOf(request) ?? new Uint8Array(),
    },
    legacy: captured({ ...response, etag }),
    service: captured(received),
    times: {
      from: Date.parse(known.recorded.from),
      to: Date.parse(known.actual.to),
      clocksApartMs: 0,
    },
    recorded: recordedValues(known),
  };
}

function captured({ status, headers, etag, body }: ReceivedResponse): CapturedResponse {
  const lines = [
    ...Object.entries(headers),
    ...(etag === undefined ? [] : [["etag", etag] as const]),
  ];
  return { status, headers: lines, body: new TextEncoder().encode(body), ms: 0 };
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
const MADE = new RegExp(`(?<uuid>${UUID.source})|(?<time>${TIME.source})`, "g");

/**
 * Compares values with recorded ones. Where a recorded text has a generated id or time, the actual
 * text has its own, and the same text around it. A pseudonym in the recording matches every text.
 */
function recordedValues(known: Known): Generated {
  const given = known.given.toLowerCase();
  // Two rows may be made in one millisecond, so a time counts together with the row's id.
  let row = "";

  const faultOf = (value: string, now: string, isTime: boolean): string | undefined => {
    const fault = isTime ? timeFault(now, known) : uuidFault(now, given, value, known.made);
    if (fault !== undefined) return fault;
    const name = isTime ? `${row} ${value}` : value;
    const before = known.made.get(name);
    if (before !== undefined && before !== now) return `earlier in this scenario: ${before}`;
    known.made.set(name, now);
    if (!isTime) row = value;
    return undefined;
  };

  return (_place, recorded: LosslessJson, actual: LosslessJson) => {
    const was = stringOf(recorded);
    if (was === undefined) return undefined;
    const fit = fitsPseudonyms(was, actual);
    if (fit !== undefined) return fit || { why: "" };
    const is = stringOf(actual) ?? "";
    let [done, at] = [0, 0];
    let isGenerated = false;
    for (const { 0: value, index, groups } of was.matchAll(MADE)) {
      const isTime = groups?.time !== undefined;
      if (given.includes(value.toLowerCase())) continue;
      if (isTime && !isWithin(value, known.recorded)) continue;
      isGenerated = true;
      const literal = was.slice(done, index);
      if (!is.startsWith(literal, at)) return { why: "" };
      at += literal.length;
      done = index + value.length;
      const why = faultOf(value, is.slice(at, at + value.length), isTime);
      if (why !== undefined) return { why };
      at += value.length;
    }
    if (!isGenerated) return undefined;
    return is.slice(at) === was.slice(done) || { why: "" };
  };
}

function uuidFault(
  now: string,
  given: string,
  recorded: string,
  made: ReadonlyMap<string, string>,
): string | undefined {
  if (!new RegExp(`^${UUID.source}$`).test(now)) return "not a UUID";
  if (given.includes(now)) return "a known UUID, not a new one";
  for (const [name, value] of made) {
    if (value === now && name !== recorded) return "one UUID for two things";
  }
  return undefined;
}

function timeFault(now: string, known: Known): string | undefined {
  if (!new RegExp(`^${TIME.source}$`).test(now)) return "not a time in UTC with milliseconds";
  return isWithin(now, known.actual) ? undefined : "a time, not that of the request";
}

// Times of one form compare as text.
function isWithin(time: string, { from, to }: { from: string; to: string }): boolean {
  return from <= time && time <= to;
}
