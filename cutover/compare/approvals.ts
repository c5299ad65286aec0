import { parse } from "yaml";
import { z } from "zod";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { COMPARED_HEADERS } from "./compared_headers.ts";
import { type Condition, isCondition } from "./conditions.ts";

const LegacyOperation = z.enum(LEGACY_OPERATIONS);

/** A place in a response, as written in the file or in a report of differences. */
const Place = z.literal("body.token").or(
  z.string().toLowerCase()
    .transform((place) => place.startsWith("header.") ? `header ${place.slice(7)}` : place)
    .pipe(z.enum([...COMPARED_HEADERS, "etag"].map((name) => `header ${name}`))),
);

const Status = z.int().min(200).max(599);

const LiveRule = z.strictObject({
  operation: LegacyOperation,
  legacy: z.array(Status).min(1),
  // A failure of Lotline is never approved.
  service: z.array(Status.max(499)).min(1),
  when: z.custom<Condition>(isCondition, "no such condition").optional(),
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
  // An invalid entry arrives here as it was written.
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

/** Approved changes of responses; the first lines of approved.yaml describe an entry. */
export type Approvals = z.output<typeof Approvals>;

/**
 * An approved difference between two responses, with the statuses that Lotline's may have. Only a live
 * rule names the operation and the old server's statuses. Without a condition or a place a rule covers
 * the complete response.
 */
export type Rule =
  & { readonly id: string; readonly service: readonly number[] }
  & Partial<Omit<Readonly<z.output<typeof LiveRule>>, "service">>;

const APPROVALS = new URL("../approved.yaml", import.meta.url);

/** @throws {z.ZodError} when the text is invalid or has duplicates */
export function parseApprovals(text: string): Approvals {
  return Approvals.parse(parse(text));
}

/**
 * Reads a file of approvals, by default the project's.
 * @throws Error that names the file and the mistake
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

/** The rules for live responses, in the order in which they are tried. */
export function liveRulesOf(approvals: Approvals): Rule[] {
  return approvals.flatMap(({ id, live }) => live.map((rule) => ({ id, ...rule })));
}

/** The live rules of a file; throws as {@link loadApprovals} does. */
export async function loadLiveRules(file: URL | string = APPROVALS): Promise<readonly Rule[]> {
  return liveRulesOf(await loadApprovals(file));
}

export function recordedRulesOf(approvals: Approvals, exchange: string): Rule[] {
  return approvals.flatMap(({ id, responses }) =>
    responses.filter((response) => response.exchange === exchange)
      .map(({ status, place }) => ({ id, service: status, place }))
  );
}

export interface Approved {
  readonly exchange: string;
  readonly verdict: "same" | "approved" | "wrong";
  readonly status: number;
  readonly used: readonly Rule[];
}

/**
 * The unused approvals, one line each: for an equal response, for an exchange that doesn't exist, or
 * for a status that didn't occur. They would hide later mistakes.
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
