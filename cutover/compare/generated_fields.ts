import type { CapturedRequest } from "../exchange/exchange.ts";
import { fieldsOf } from "./conditions.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import { type LosslessJson, stringOf } from "../exchange/lossless_json.ts";

/** The period of an exchange by this process's clock, in ms since 1970. */
export interface Times {
  readonly from: number;
  readonly to: number;
  /** The greatest difference between this clock and those of the servers and the database. */
  readonly clocksApartMs: number;
}

/**
 * Judges the two values of a place that servers may generate: `true` when both are valid, a reason,
 * which may be empty, when one isn't; undefined when the place isn't generated and must be equal.
 */
export type Generated = (
  place: string,
  legacy: LosslessJson,
  service: LosslessJson,
) => true | { readonly why: string } | undefined;

type Matcher = (value: string) => boolean;

/** The generated fields of a response's body. A field that the request contains isn't generated. */
export function generatedFields(
  operation: LegacyOperation | undefined,
  status: number,
  request: CapturedRequest,
  times: Times,
): Generated | undefined {
  const generated = operation && GENERATED[operation];
  if (generated === undefined || generated.status !== status) return undefined;
  const requested = fieldsOf(request) ?? {};
  const fields = generated.fields.filter(([field]) => !Object.hasOwn(requested, field));
  const matchers = new Map(fields.map(([field, kind]): [string, Matcher] => [
    `body.${field}`,
    kind === "id" ? isNewId(request) : isMoment(times),
  ]));
  return (place, ...both) => {
    const isValid = matchers.get(place);
    if (isValid === undefined) return undefined;
    return both.every((value) => isValid(stringOf(value) ?? "")) || { why: "" };
  };
}

const GENERATED: Partial<
  Record<LegacyOperation, { status: number; fields: [field: string, kind: "id" | "moment"][] }>
> = {
  getHealth: { status: 200, fields: [["timestamp", "moment"]] },
  createLot: { status: 201, fields: [["id", "id"], ["created_at", "moment"]] },
  createQcDecision: { status: 201, fields: [["id", "id"], ["decided_at", "moment"]] },
};

// Version 4, as from uuid_generate_v4().
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
