import { createHash } from "node:crypto";
import { storable } from "../../db/storable.ts";
import type { Difference, Finding } from "./evidence.ts";
import type { CapturedRequest, CapturedResponse, HeaderLines } from "../exchange/exchange.ts";

/** A comparison that found differences, as it is stored. */
export type StoredMismatch = ReturnType<typeof storedMismatch>;

type Stored = Readonly<Record<string, string | number | readonly (readonly string[])[]>>;

/** The longest text that is kept of a body; all in characters or entries. */
const MAX_BODY_CHARACTERS = 16_384;
const MAX_TEXT_CHARACTERS = 4_000;
const MAX_HEADERS = 100;
const MAX_DIFFERENCES = 50;

/**
 * The same for differences of one kind: operation, outcome, places and statuses. Neither values nor
 * the index in a list count.
 */
export function fingerprintOf({ operation, outcome, differences, exchange }: Finding): string {
  const places = differences.map(({ place }) => place.replaceAll(/\[\d*\]|\.\d+(?=\.|$)/g, "[]"));
  const statuses = [exchange?.legacy.status, exchange?.service.status];
  const kind = [operation, outcome, statuses, [...new Set(places)].sort()];
  return createHash("sha256").update(JSON.stringify(kind)).digest("hex").slice(0, 32);
}

/** A redacted finding as it is stored: cut to length, without what PostgreSQL refuses. */
export function storedMismatch(
  { operation, route, outcome, differences, exchange }: Finding,
  fingerprint: string,
  /** In ms of `performance.now()`. */
  at: number,
) {
  return {
    operation,
    epoch: route.epoch,
    mode: exchange?.mode ?? route.mode.name,
    outcome,
    fingerprint,
    at,
    ...exchange && {
      request: storedRequest(exchange.request),
      legacy: storedResponse(exchange.legacy),
      service: storedResponse(exchange.service),
    },
    differences: differences.slice(0, MAX_DIFFERENCES).map(storedPlace),
  };
}

const storedText = (text: string) => storable(text, MAX_TEXT_CHARACTERS);

function storedRequest({ method, target, headers, body }: CapturedRequest): Stored {
  return {
    method: storedText(method),
    target: storedText(target),
    headers: storedHeaders(headers),
    body: storedBody(body),
  };
}

function storedResponse({ status, headers, body, ms }: CapturedResponse): Stored {
  return { status, headers: storedHeaders(headers), body: storedBody(body), ms };
}

function storedPlace({ place, legacy, service }: Difference): Stored {
  return {
    place: storedText(place),
    ...(legacy !== undefined && { legacy: storedText(legacy) }),
    ...(service !== undefined && { service: storedText(service) }),
  };
}

function storedHeaders(headers: HeaderLines): readonly (readonly string[])[] {
  return headers.slice(0, MAX_HEADERS).map((line) => line.map(storedText));
}

function storedBody(body: Uint8Array): string {
  // A character that is cut in half shows as U+FFFD.
  return storable(
    new TextDecoder().decode(body.subarray(0, 4 * MAX_BODY_CHARACTERS)),
    MAX_BODY_CHARACTERS,
  );
}
