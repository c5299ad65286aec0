import { parse } from "yaml";
import { z } from "zod";
import { OLD_OPERATIONS } from "../exchange/operations.ts";
import { KEPT_HEADERS } from "./compared_headers.ts";

/** The old operations that live answers are compared for. */
const OldOperation = z.enum(OLD_OPERATIONS);

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

/** A header that answers are compared by, as it is written in the file or in a report of differences. */
const HeaderPlace = z.string().toLowerCase()
  .transform((place) => place.startsWith("header.") ? `header ${place.slice(7)}` : place)
  .pipe(z.enum([...KEPT_HEADERS, "etag"].map((name) => `header ${name}`)));

const Status = z.int().min(200).max(599);

const LiveRule = z.strictObject({
  operation: OldOperation,
  legacy: z.array(Status).min(1),
  // That Lotline fails is never agreed to.
  service: z.array(Status.max(499)).min(1),
  when: Condition.optional(),
  place: z.literal("body.token").or(HeaderPlace).optional(),
}).refine(
  ({ when, place }) => (when === undefined) !== (place === undefined),
  "a live rule has either a condition or a place: statuses alone would hide mistakes",
);

const ContractRule = z.strictObject({
  operation: OldOperation,
  text: z.string().min(1),
});

const Entry = z.strictObject({
  id: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
  reason: z.string().min(1),
  approved: z.iso.date(),
  review: z.iso.date(),
  answers: z.array(
    z.strictObject({
      exchange: z.string().regex(/ #\d+$/),
      status: z.array(z.int().min(200).max(599)).min(1),
      place: HeaderPlace.optional(),
    }),
  ).min(1).optional(),
  live: z.array(LiveRule).min(1).optional(),
  contract: z.array(ContractRule).min(1).optional(),
}).refine(({ approved, review }) => review > approved, "the review must come after the approval")
  .refine(
    ({ answers, live, contract }) => (answers ?? live ?? contract) !== undefined,
    "an entry names answers, live ones or changes of the contract",
  )
  .transform(({ answers = [], ...entry }) => ({ ...entry, answers }));

const Approvals = z.array(Entry).superRefine((entries, context) => {
  const seen = new Set<string>();
  const once = (what: string) => {
    if (seen.has(what)) context.addIssue({ code: "custom", message: `${what} stands twice` });
    seen.add(what);
  };
  for (const { id, answers, live = [], contract = [] } of entries) {
    once(`entry ${id}`);
    for (const { operation, text } of contract) once(`contract rule ${operation}, ${text}`);
    for (const { operation, legacy, service, when, place } of live) {
      for (const [old, now] of legacy.flatMap((old) => service.map((now) => [old, now]))) {
        once(`live rule ${operation} ${old} to ${now}, ${when ?? place}`);
      }
    }
    for (const { exchange, status, place } of answers) {
      const what = place === undefined ? exchange : `${exchange}, ${place}`;
      once(`exchange ${what}`);
      for (const code of status) once(`status ${code} of ${what}`);
    }
  }
});

/**
 * Changes of recorded answers that were agreed to: each entry has an id, a reason, the days of its
 * approval and of its next review (YYYY-MM-DD), and the exchanges it covers, if any was recorded,
 * with the statuses that they may have now, or a header that may be another one. An exchange stands in
 * one entry at most for itself, and in one for each header. `live` says the
 * same about any answer to a client, by operation, both sides' statuses and a condition; `contract`
 * says it of the old server's document and ours, by operation and change.
 */
export type Approvals = z.output<typeof Approvals>;

/** What a live rule may ask of an exchange. */
export type Condition = z.output<typeof Condition>;

/** A difference between two live answers that was agreed to, by the entry's id. */
export type LiveRule = z.output<typeof LiveRule> & { readonly id: string };

/** A change of the old five's contract that was agreed to, in the words of the comparison. */
export type ContractRule = z.output<typeof ContractRule>;

/** What one exchange may have become: the entry that says so, and the statuses. */
export interface Approval {
  id: string;
  status: readonly number[];
}

/** The approvals of this project. */
export const APPROVALS = new URL("../../contract-tests/approved.yaml", import.meta.url);

/**
 * Reads approvals.
 * @throws {z.ZodError} when the text has another shape, or says something twice
 */
export function parseApprovals(text: string): Approvals {
  return Approvals.parse(parse(text));
}

/** Reads the project's approvals; throws as {@link parseApprovals} does. */
export async function loadApprovals(): Promise<Approvals> {
  return parseApprovals(await Deno.readTextFile(APPROVALS));
}

/** The rules for live answers, in the order in which they are tried. */
export function liveRulesOf(approvals: Approvals): LiveRule[] {
  return approvals.flatMap(({ id, live = [] }) => live.map((rule) => ({ id, ...rule })));
}

/** The changes of the old five's contract that were agreed to. */
export function contractRulesOf(approvals: Approvals): ContractRule[] {
  return approvals.flatMap(({ contract = [] }) => contract);
}

/** A header of one exchange that may be another one: the entry that says so, and where it does. */
export interface HeaderApproval extends Approval {
  /** `header vary` */
  place: string;
}

/** The approvals of an exchange's headers. */
export function findHeaderApprovals(approvals: Approvals, exchange: string): HeaderApproval[] {
  return approvals.flatMap(({ id, answers }) =>
    answers.flatMap(({ place, status, exchange: of }) =>
      of === exchange && place !== undefined ? [{ id, status, place }] : []
    )
  );
}

/** The approval for an exchange, apart from those of headers, if there is one. */
export function findApproval(approvals: Approvals, exchange: string): Approval | undefined {
  for (const { id, answers } of approvals) {
    const answer = answers.find(({ exchange: of, place }) =>
      of === exchange && place === undefined
    );
    if (answer !== undefined) return { id, status: answer.status };
  }
  return undefined;
}

/** Approved headers of one exchange that are another one, and its status unless it is wrong. */
interface ChangedHeaders {
  readonly status: number | undefined;
  readonly places: readonly string[];
}

/**
 * What of the approvals nothing used, one line each. `changed` has the status of every exchange that
 * didn't come back the same but for its approved headers, or undefined for one that is wrong, which is
 * told elsewhere; `headers` says the same of these headers. An approval for an answer that came back
 * the same, for an exchange that doesn't exist, or for a status that didn't occur only hides later
 * mistakes.
 */
export function listUnused(
  approvals: Approvals,
  changed: ReadonlyMap<string, number | undefined>,
  headers: ReadonlyMap<string, ChangedHeaders> = new Map(),
): string[] {
  return approvals.flatMap(({ id, answers }) =>
    answers.flatMap(({ exchange, status, place }) => {
      const ofHeaders = headers.get(exchange);
      const isWrong = changed.has(exchange) && changed.get(exchange) === undefined;
      const isUsed = place === undefined
        ? changed.has(exchange)
        : ofHeaders?.places.includes(place) || isWrong;
      const of = place === undefined ? "" : ` of ${place}`;
      if (!isUsed) return [`${id}: "${exchange}" needs no approval${of}`];
      const now = place === undefined ? changed.get(exchange) : ofHeaders?.status;
      return status.filter((code) => now !== undefined && code !== now).map((code) =>
        `${id}: "${exchange}" is answered with ${now}, never with ${code}`
      );
    })
  );
}

/** The entries whose review is due on `today` (YYYY-MM-DD), one line each. */
export function listDueReviews(approvals: Approvals, today: string): string[] {
  return approvals.filter(({ review }) => review <= today)
    .map(({ id, review }) => `${id}: the review was due on ${review}`);
}
