import type { CapturedRequest } from "../exchange/exchange.ts";
import { fieldsOf } from "./conditions.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import { type LosslessJson, stringOf } from "../exchange/lossless_json.ts";

/** When an exchange took place, by this process's clock, in ms since 1970. */
export interface Times {
  /** When the request had been read. */
  readonly from: number;
  /** When the last of the answers had been read. */
  readonly to: number;
  /** How far the servers' and the database's clocks may be from this one. */
  readonly clocksApartMs: number;
}

/**
 * Looks at the two values of one place that a server may have generated: `true` when both are as they
 * must be, though not the same; a reason when they aren't, which may be empty; undefined when nothing is
 * generated there, so that the two must be the same.
 */
export type Generated = (
  place: string,
  legacy: LosslessJson,
  service: LosslessJson,
) => true | { readonly why: string } | undefined;

type Matcher = (value: string) => boolean;

/**
 * The values of an answer's body that a server generates for a request: each side's own must have its
 * form. What the request named isn't generated.
 */
export function generatedFields(
  operation: LegacyOperation | undefined,
  status: number,
  request: CapturedRequest,
  times: Times,
): Generated | undefined {
  const generated = operation && GENERATED[operation];
  if (generated === undefined || generated.status !== status) return undefined;
  const named = fieldsOf(request) ?? {};
  const fields = generated.fields.filter(([field]) => !Object.hasOwn(named, field));
  const matchers = new Map(fields.map(([field, kind]): [string, Matcher] => [
    `body.${field}`,
    kind === "id" ? isNewId(request) : isMoment(times),
  ]));
  return (place, ...both) => {
    const fits = matchers.get(place);
    if (fits === undefined) return undefined;
    return both.every((value) => fits(stringOf(value) ?? "")) || { why: "" };
  };
}

interface GeneratedOf {
  readonly status: number;
  readonly fields: readonly (readonly [field: string, kind: "id" | "moment"])[];
}

const GENERATED: Partial<Record<LegacyOperation, GeneratedOf>> = {
  getHealth: { status: 200, fields: [["timestamp", "moment"]] },
  createLot: { status: 201, fields: [["id", "id"], ["created_at", "moment"]] },
  createQcDecision: { status: 201, fields: [["id", "id"], ["decided_at", "moment"]] },
};

// Version 4, as uuid_generate_v4() makes them.
const NEW_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function isNewId(request: CapturedRequest): Matcher {
  const given = decodedText(request)?.toLowerCase() ?? "";
  return (value) => NEW_ID.test(value) && !given.includes(value);
}

function isMoment({ from, to, clocksApartMs }: Times): Matcher {
  return (value) => {
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return false;
    const moment = Date.parse(value);
    return from - clocksApartMs <= moment && moment <= to + clocksApartMs;
  };
}
