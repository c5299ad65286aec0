import type { CapturedRequest } from "../exchange/exchange.ts";
import { fieldsOf } from "./conditions.ts";
import type { OldOperation } from "../exchange/operations.ts";
import { plainText } from "../exchange/decoded_body.ts";

/** When an exchange took place, by this process's clock, in ms since 1970. */
export interface Times {
  /** When the request had been read. */
  readonly from: number;
  /** When the last of the answers had been read. */
  readonly to: number;
  /** How far the servers' and the database's clocks may be from this one. */
  readonly clocksApartMs: number;
}

/** Tells whether a value has the form of one that a server made up for this request. */
export type Matcher = (value: string) => boolean;

/**
 * The values of an answer's body that a server makes up, by their field at the top: each side's own
 * must have its form, and they need not be the same. What the request named isn't made up.
 */
export function madeUpFields(
  operation: OldOperation,
  status: number,
  request: CapturedRequest,
  times: Times,
): ReadonlyMap<string, Matcher> {
  const made = MADE_UP[operation];
  if (made === undefined || made.status !== status) return new Map();
  const named = fieldsOf(request) ?? {};
  const fields = made.fields.filter(([field]) => !Object.hasOwn(named, field));
  return new Map(fields.map(([field, kind]): [string, Matcher] => [
    field,
    kind === "id" ? isNewId(request) : isMoment(times),
  ]));
}

interface MadeUp {
  readonly status: number;
  readonly fields: readonly (readonly [field: string, kind: "id" | "moment"])[];
}

const MADE_UP: Partial<Record<OldOperation, MadeUp>> = {
  getHealth: { status: 200, fields: [["timestamp", "moment"]] },
  createLot: { status: 201, fields: [["id", "id"], ["created_at", "moment"]] },
  createQcDecision: { status: 201, fields: [["id", "id"], ["decided_at", "moment"]] },
};

// Version 4, as uuid_generate_v4() makes them.
const NEW_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function isNewId(request: CapturedRequest): Matcher {
  const given = plainText(request)?.toLowerCase() ?? "";
  return (value) => NEW_ID.test(value) && !given.includes(value);
}

function isMoment({ from, to, clocksApartMs }: Times): Matcher {
  return (value) => {
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return false;
    const moment = Date.parse(value);
    return from - clocksApartMs <= moment && moment <= to + clocksApartMs;
  };
}
