import { parse } from "yaml";
import { z } from "zod";

const Entry = z.strictObject({
  id: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
  reason: z.string().min(1),
  approved: z.iso.date(),
  review: z.iso.date(),
  answers: z.array(
    z.strictObject({
      exchange: z.string().regex(/ #\d+$/),
      status: z.array(z.int().min(200).max(599)).min(1),
    }),
  ).min(1),
}).refine(({ approved, review }) => review > approved, "the review must come after the approval");

const Approvals = z.array(Entry).superRefine((entries, context) => {
  const seen = new Set<string>();
  const once = (what: string) => {
    if (seen.has(what)) context.addIssue({ code: "custom", message: `${what} stands twice` });
    seen.add(what);
  };
  for (const { id, answers } of entries) {
    once(`entry ${id}`);
    for (const { exchange, status } of answers) {
      once(`exchange ${exchange}`);
      for (const code of status) once(`status ${code} of ${exchange}`);
    }
  }
});

/**
 * Changes of recorded answers that were agreed to: each entry has an id, a reason, the days of its
 * approval and of its next review (YYYY-MM-DD), and the exchanges it covers with the statuses that
 * they may have now. An exchange stands in one entry at most.
 */
export type Approvals = z.output<typeof Approvals>;

/** What one exchange may have become: the entry that says so, and the statuses. */
export interface Approval {
  id: string;
  status: readonly number[];
}

/** The approvals of this project. */
export const APPROVALS = new URL("approved.yaml", import.meta.url);

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

/** The approval for an exchange, if there is one. */
export function findApproval(approvals: Approvals, exchange: string): Approval | undefined {
  for (const { id, answers } of approvals) {
    const answer = answers.find((candidate) => candidate.exchange === exchange);
    if (answer !== undefined) return { id, status: answer.status };
  }
  return undefined;
}

/**
 * What of the approvals nothing used, one line each. `changed` has the status of every exchange that
 * didn't come back the same, or undefined for one that is wrong, which is told elsewhere. An approval
 * for an answer that came back the same, for an exchange that doesn't exist, or for a status that
 * didn't occur only hides later mistakes.
 */
export function listUnused(
  approvals: Approvals,
  changed: ReadonlyMap<string, number | undefined>,
): string[] {
  return approvals.flatMap(({ id, answers }) =>
    answers.flatMap(({ exchange, status }) => {
      if (!changed.has(exchange)) return [`${id}: "${exchange}" needs no approval`];
      const now = changed.get(exchange);
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
