import { withoutFrames } from "../compare/error_page.ts";
import { comparedValue, isWeakEtag } from "../compare/compared_headers.ts";
import type { Answer } from "./exchange.ts";
import type { RecordedAnswer } from "./recordings.ts";

/** What tells values that a server makes up (new ids, the time now) from those it must give back. */
export interface Known {
  /** The seed and the request as text: a UUID or a time that stands in it isn't made up. */
  given: string;
  /** When the recording was made: a time outside of it (UTC, milliseconds) wasn't made up. */
  recorded: { from: string; to: string };
  /** When the actual answers came about, with some minutes for two clocks: their made-up times. */
  actual: { from: string; to: string };
  /**
   * What stands for each recorded made-up value in the actual answers of this scenario so far.
   * Filled by {@link differences}: an id that was made once must be the same one ever after.
   */
  made: Map<string, string>;
}

/**
 * How an actual answer differs from the recorded one, a line for each difference; none when they
 * are the same: status, kept headers (missing, other or additional), body to the byte, a weak ETag
 * where there was one. Made-up UUIDs and times are compared by form and by what they stand for;
 * a trace's parents and children may come in any order; stack frames and parser's words on an error
 * page don't count.
 */
export function differences(recorded: RecordedAnswer, actual: Answer, known: Known): string[] {
  if (actual.status === 0) return [`no answer: ${actual.body}`];
  const found: string[] = [];
  if (actual.status !== recorded.status) {
    found.push(`status ${recorded.status} -> ${actual.status}`);
  }
  const body = bodyDifference(comparable(recorded.body), comparable(actual.body), known);
  if (body !== undefined) found.push(body);
  for (const name of Object.keys({ ...recorded.headers, ...actual.headers })) {
    const [was, is] = [recorded.headers[name], actual.headers[name]];
    if (comparedValue(name, was) !== comparedValue(name, is)) {
      found.push(`${name}: ${was ?? "(none)"} -> ${is ?? "(none)"}`);
    }
  }
  if (recorded.etag && !isWeakEtag(actual.etag)) {
    found.push(`ETag: weak -> ${actual.etag ?? "(none)"}`);
  }
  return found;
}

function comparable(body: string): string {
  return lotsInOneOrder(withoutFrames(body));
}

/** A trace's body with parents and children sorted; any other body as it is. */
function lotsInOneOrder(body: string): string {
  let trace: unknown;
  try {
    trace = JSON.parse(body);
  } catch {
    return body;
  }
  // What JSON.stringify wouldn't write the same way (spaces, escapes) stays, and so is noticed.
  if (!isTrace(trace) || JSON.stringify(trace) !== body) return body;
  const sorted = (lots: unknown[]) =>
    lots.map((lot) => JSON.stringify(lot)).toSorted().map((lot): unknown => JSON.parse(lot));
  return JSON.stringify({
    ...trace,
    parents: sorted(trace.parents),
    children: sorted(trace.children),
  });
}

function isTrace(value: unknown): value is { parents: unknown[]; children: unknown[] } {
  return typeof value === "object" && value !== null &&
    "parents" in value && Array.isArray(value.parents) &&
    "children" in value && Array.isArray(value.children);
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
const MADE = new RegExp(`(?<uuid>${UUID.source})|(?<time>${TIME.source})`, "g");

/** Walks through both bodies at once: recorded text must stand there, made-up values must fit. */
function bodyDifference(recorded: string, actual: string, known: Known): string | undefined {
  const given = known.given.toLowerCase();
  let done = 0;
  let at = 0;
  let row = "";
  for (const match of recorded.matchAll(MADE)) {
    const value = match[0];
    const isTime = match.groups?.time !== undefined;
    if (given.includes(value.toLowerCase())) continue;
    if (isTime && !isWithin(value, known.recorded)) continue;
    const literal = recorded.slice(done, match.index);
    if (!actual.startsWith(literal, at)) break;
    at += literal.length;
    done = match.index + value.length;
    const now = actual.slice(at, at + value.length);
    // Two rows may be made in one millisecond, so a time counts together with the row's id.
    const name = isTime ? `${row} ${value}` : value;
    const fault = isTime ? timeFault(now, known) : uuidFault(now, given, value, known.made);
    const before = known.made.get(name);
    if (fault === undefined && before !== undefined && before !== now) {
      return `body: ${now} stands where ${before} stood earlier in this scenario`;
    }
    if (fault !== undefined) return `body: ${fault}: ${excerpt(actual, at)}`;
    known.made.set(name, now);
    if (!isTime) row = value;
    at += value.length;
  }
  const rest = recorded.slice(done);
  if (actual.slice(at) === rest) return undefined;
  let same = 0;
  while (same < rest.length && rest[same] === actual[at + same]) same++;
  return `body: ${excerpt(recorded, done + same)} -> ${excerpt(actual, at + same)}`;
}

function uuidFault(
  now: string,
  given: string,
  recorded: string,
  made: ReadonlyMap<string, string>,
): string | undefined {
  if (!new RegExp(`^${UUID.source}$`).test(now)) return "no UUID";
  if (given.includes(now)) return "a UUID that was there before, not a new one";
  for (const [name, value] of made) {
    if (value === now && name !== recorded) return "one UUID for two things";
  }
  return undefined;
}

function timeFault(now: string, known: Known): string | undefined {
  if (!new RegExp(`^${TIME.source}$`).test(now)) return "no time in UTC with milliseconds";
  return isWithin(now, known.actual) ? undefined : "a time, but not the time of the request";
}

// Times of one form compare as text.
function isWithin(time: string, { from, to }: { from: string; to: string }): boolean {
  return from <= time && time <= to;
}

function excerpt(text: string, at: number): string {
  const [from, to] = [Math.max(0, at - 40), at + 60];
  const shown = text.slice(from, to) || "(nothing)";
  return `${from > 0 ? "…" : ""}${shown}${to < text.length ? "…" : ""}`;
}
