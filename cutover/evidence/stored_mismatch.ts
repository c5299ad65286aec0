import { createHash } from "node:crypto";
import type { Difference, Finding } from "./evidence.ts";
import type { CapturedAnswer, CapturedRequest, HeaderLines } from "../exchange/exchange.ts";

/** A comparison that found differences, as it is stored. */
export interface KeptDifference {
  readonly operation: string;
  readonly epoch: number;
  readonly mode: string;
  readonly outcome: string;
  readonly fingerprint: string;
  /** In ms of `performance.now()`. */
  readonly at: number;
  readonly request: Kept | null;
  readonly legacy: Kept | null;
  readonly service: Kept | null;
  readonly differences: readonly Kept[];
}

type Kept = Readonly<Record<string, string | number | readonly (readonly string[])[]>>;

/** The longest text that is kept of a body, in characters. */
const LONGEST_BODY = 16_384;
const LONGEST_TEXT = 4_000;
const MOST_HEADERS = 100;
const MOST_DIFFERENCES = 50;

/**
 * What differences of one kind have in common: operation, outcome, places and statuses. Which of
 * several links it was makes no difference, nor do values.
 */
export function fingerprintOf({ operation, outcome, differences, exchange }: Finding): string {
  const places = differences.map(({ place }) => place.replaceAll(/\[\d*\]|\.\d+(?=\.|$)/g, "[]"));
  const statuses = [exchange?.legacy.status, exchange?.service.status];
  const kind = [operation, outcome, statuses, [...new Set(places)].sort()];
  return createHash("sha256").update(JSON.stringify(kind)).digest("hex").slice(0, 32);
}

/** A redacted finding as it is stored: nothing of it too long, nothing that PostgreSQL refuses. */
export function keptDifference(
  { operation, route, outcome, differences, exchange }: Finding,
  fingerprint: string,
  at: number,
): KeptDifference {
  return {
    operation,
    epoch: route.epoch,
    mode: exchange?.mode ?? route.mode.name,
    outcome,
    fingerprint,
    at,
    request: exchange === undefined ? null : keptRequest(exchange.request),
    legacy: exchange === undefined ? null : keptAnswer(exchange.legacy),
    service: exchange === undefined ? null : keptAnswer(exchange.service),
    differences: differences.slice(0, MOST_DIFFERENCES).map(keptPlace),
  };
}

function keptRequest({ method, target, headers, body }: CapturedRequest): Kept {
  return {
    method: storable(method),
    target: storable(target),
    headers: keptHeaders(headers),
    body: keptBody(body),
  };
}

function keptAnswer({ status, headers, body, ms }: CapturedAnswer): Kept {
  return { status, headers: keptHeaders(headers), body: keptBody(body), ms };
}

function keptPlace({ place, legacy, service }: Difference): Kept {
  return {
    place: storable(place),
    ...(legacy !== undefined && { legacy: storable(legacy) }),
    ...(service !== undefined && { service: storable(service) }),
  };
}

function keptHeaders(headers: HeaderLines): readonly (readonly string[])[] {
  return headers.slice(0, MOST_HEADERS).map(([name, value]) => [storable(name), storable(value)]);
}

function keptBody(body: Uint8Array): string {
  // Bytes that are cut in half show as U+FFFD.
  return storable(new TextDecoder().decode(body.subarray(0, 4 * LONGEST_BODY)), LONGEST_BODY);
}

/** jsonb holds neither NUL nor half a surrogate pair. */
function storable(text: string, longest = LONGEST_TEXT): string {
  const short = text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
  return short.toWellFormed().replaceAll("\0", "�");
}
