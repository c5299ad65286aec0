import { createHash } from "node:crypto";
import { storable } from "../../db/storable.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { differenceOf, type Finding } from "./evidence.ts";

/** A comparison that found differences, as it is stored. */
export type StoredMismatch = ReturnType<typeof storedMismatch>;

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
      request: {
        method: storedText(exchange.request.method),
        target: storedText(exchange.request.target),
        ...storedMessage(exchange.request),
      },
      legacy: storedResponse(exchange.legacy),
      service: storedResponse(exchange.service),
    },
    differences: differences.slice(0, MAX_DIFFERENCES).map(({ place, legacy, service }) =>
      differenceOf(storedText(place), legacy && storedText(legacy), service && storedText(service))
    ),
  };
}

const storedText = (text: string) => storable(text, MAX_TEXT_CHARACTERS);

function storedResponse({ status, ms, ...message }: CapturedResponse) {
  return { status, ms, ...storedMessage(message) };
}

function storedMessage({ headers, body }: Pick<CapturedRequest, "headers" | "body">) {
  // A character that is cut in half shows as U+FFFD.
  const text = new TextDecoder().decode(body.subarray(0, 4 * MAX_BODY_CHARACTERS));
  return {
    headers: headers.slice(0, MAX_HEADERS).map((line) => line.map(storedText)),
    body: storable(text, MAX_BODY_CHARACTERS),
  };
}
