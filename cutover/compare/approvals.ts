import { parse } from "yaml";
import { z } from "zod";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { COMPARED_HEADERS } from "./compared_headers.ts";

/** The old operations that live answers are compared for. */
const LegacyOperation = z.enum(LEGACY_OPERATIONS);

/** What a live rule may ask of an exchange; approved.yaml says what each means. */
const Condition = z.enum([
  "bad_utf8",
  "beyond_years",
  "body_of_get",
  "empty_lot_code",
  "error_page",
  "key_made_sql",
  "lone_surrogate",
  "many_links",
  "metadata_list",
  "metadata_not_json",
  "moment_by_word",
  "no_fields",
  "not_finite",
  "not_json",
  "not_text",
  "nul",
  "other_charset",
  "other_method",
  "refused_value",
  "taken",
  "too_deep",
  "too_long",
  "unfit_field",
  "unfit_key",
  "unknown_field",
  "unknown_reference",
]);

/** A place in which answers may differ, as it is written in the file or in a report of differences. */
const Place = z.literal("body.token").or(
  z.string().toLowerCase()
    .transform((place) => place.startsWith("header.") ? `header ${place.slice(7)}` : place)
    .pipe(z.enum([...COMPARED_HEADERS, "etag"].map((name) => `header ${name}`))),
);

const Status = z.int().min(200).max(599);

const LiveRule = z.strictObject({
  operation: LegacyOperation,
  legacy: z.array(Status).min(1),
  // That Lotline fails is never agreed to.
  service: z.array(Status.max(499)).min(1),
  when: Condition.optional(),
  place: Place.optional(),
}).refine(
  ({ when, place }) => (when === undefined) !== (place === undefined),
  "a live rule has either a condition or a place: statuses alone would hide mistakes",
);

const Entry = z.strictObject({
  id: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
  reason: z.string().min(1),
  approved: z.iso.date(),
  review: z.iso.date(),
  answers: z.array(
    z.strictObject({
      exchange: z.string().regex(/ #\d+$/),
      status: z.array(Status).min(1),
      place: Place.optional(),
    }),
  ).min(1).optional(),
  live: z.array(LiveRule).min(1).optional(),
}).refine(({ approved, review }) => review > approved, "the review must come after the approval")
  .refine(
    ({ answers: responses, live }) => (responses ?? live) !== undefined,
    "an entry names answers, or live ones",
  )
  .transform(({ answers: responses = [], live = [], ...entry }) => ({ ...entry, responses, live }));

const Approvals = z.array(Entry).superRefine((entries, context) => {
  const seen = new Set<string>();
  const once = (what: string) => {
    if (seen.has(what)) context.addIssue({ code: "custom", message: `${what} stands twice` });
    seen.add(what);
  };
  // An entry that is broken comes here as it was written.
  for (const { id, responses = [], live = [] } of entries) {
    once(`entry ${id}`);
    for (const { operation, legacy, service, when, place } of live) {
      for (const [old, now] of legacy.flatMap((old) => service.map((now) => [old, now]))) {
        once(`live rule ${operation} ${old} to ${now}, ${when ?? place}`);
      }
    }
    for (const { exchange, status, place } of responses) {
      const what = place === undefined ? exchange : `${exchange}, ${place}`;
      once(`exchange ${what}`);
      for (const code of status) once(`status ${code} of ${what}`);
    }
  }
});

/**
 * Changes of answers that were agreed to: each entry has an id, a reason, the days of its approval and
 * of its next review (YYYY-MM-DD). `responses` names the recorded exchanges that it covers, with the
 * statuses that they may have now; `live` says the same about any answer to a client, by operation,
 * both sides' statuses and a condition. Either may be about one place alone.
 */
export type Approvals = z.output<typeof Approvals>;

/** What a live rule may ask of an exchange. */
export type Condition = z.output<typeof Condition>;

/** A difference between two answers that was agreed to. */
export interface Rule {
  /** The entry's. */
  readonly id: string;
  /** Of a rule for any exchange, the operation and the old server's statuses. */
  readonly operation?: z.output<typeof LegacyOperation>;
  readonly legacy?: readonly number[];
  /** Statuses that Lotline's answer may have. */
  readonly service: readonly number[];
  /** Absent, with no place either: the whole answer of the exchange that the rule was chosen for. */
  readonly when?: Condition | undefined;
  readonly place?: string | undefined;
}

/** The approvals of this project. */
export const APPROVALS = new URL("../approved.yaml", import.meta.url);

/**
 * Reads approvals.
 * @throws {z.ZodError} when the text has another shape, or says something twice
 */
export function parseApprovals(text: string): Approvals {
  return Approvals.parse(parse(text));
}

/**
 * Reads a file of approvals, the project's unless told otherwise.
 * @throws Error that names the file and what is wrong with it
 */
export async function loadApprovals(file: URL | string = APPROVALS): Promise<Approvals> {
  try {
    return parseApprovals(await Deno.readTextFile(file));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`The approvals in ${file} can't be used: ${why.replaceAll(/\s+/g, " ")}`, {
      cause: error,
    });
  }
}

/** The rules for live answers, in the order in which they are tried. */
export function liveRulesOf(approvals: Approvals): Rule[] {
  return approvals.flatMap(({ id, live }) => live.map((rule) => ({ id, ...rule })));
}

/** The rules for live answers of a file of approvals; throws as {@link loadApprovals} does. */
export async function loadLiveRules(file: URL | string = APPROVALS): Promise<readonly Rule[]> {
  return liveRulesOf(await loadApprovals(file));
}

/** The rules for one recorded exchange, by its name. */
export function recordedRulesOf(approvals: Approvals, exchange: string): Rule[] {
  return approvals.flatMap(({ id, responses }) =>
    responses.filter((response) => response.exchange === exchange)
      .map(({ status, place }) => ({ id, service: status, place }))
  );
}

/** What came of a recorded exchange, as far as its approvals are concerned. */
export interface Approved {
  readonly exchange: string;
  readonly verdict: "same" | "approved" | "wrong";
  readonly status: number;
  /** The rules that made it pass. */
  readonly used: readonly Rule[];
}

/**
 * What of the approvals nothing used, one line each. An approval for an answer that came back the same,
 * for an exchange that doesn't exist, or for a status that didn't occur only hides later mistakes. What
 * is wrong is told elsewhere.
 */
export function listUnused(approvals: Approvals, outcomes: readonly Approved[]): string[] {
  const byName = new Map(outcomes.map((outcome) => [outcome.exchange, outcome]));
  return approvals.flatMap(({ id, responses }) =>
    responses.flatMap(({ exchange, status, place }) => {
      const outcome = byName.get(exchange);
      if (outcome?.verdict === "wrong") return [];
      if (!outcome?.used.some((rule) => rule.id === id && rule.place === place)) {
        const of = place === undefined ? "" : ` of ${place}`;
        return [`${id}: "${exchange}" needs no approval${of}`];
      }
      return status.filter((code) => code !== outcome.status).map((code) =>
        `${id}: "${exchange}" is answered with ${outcome.status}, never with ${code}`
      );
    })
  );
}

/** The entries whose review is due on `today` (YYYY-MM-DD), one line each. */
export function listDueReviews(approvals: Approvals, today: string): string[] {
  return approvals.filter(({ review }) => review <= today)
    .map(({ id, review }) => `${id}: the review was due on ${review}`);
}
