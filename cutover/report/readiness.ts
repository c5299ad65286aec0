import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import { describeMode } from "../routes/routing.ts";
import type { Mode } from "../exchange/route.ts";
import type { LimitsChange } from "./limit_changes.ts";
import type { JudgedPeriod } from "./judged_periods.ts";
import { daysOf, gapsIn, monthEndsIn, type Stretch } from "./month_ends.ts";
import { courseOf, serviceSpans, type Span } from "./spans.ts";

/** How long Lotline responds to everyone before the old server can go, in days. */
export const REQUIRED_DAYS = 14;

export interface RouteFacts {
  readonly operation: LegacyOperation;
  /** The stored mode, without the kill switch. */
  readonly mode: Mode;
  readonly latch: string | undefined;
  readonly spans: readonly Span[];
  readonly periods: readonly JudgedPeriod[];
  /** The times in which a gateway ran. */
  readonly gateways: readonly Stretch[];
  readonly approvals: readonly UsedApproval[];
  readonly until: string;
}

export interface UsedApproval {
  readonly id: string;
  readonly count: number;
  /** The epochs in which it was needed. */
  readonly epochs: readonly number[];
  /** Undefined: it is no longer in approved.yaml. */
  readonly entry:
    | { readonly reason: string; readonly approved: string; readonly review: string }
    | undefined;
}

/** What is known of a route's time on `service`, and why the old server is still needed for it. */
export type Readiness = ReturnType<typeof readinessOf>;

export function readinessOf(facts: RouteFacts) {
  const course = courseOf(facts.spans);
  const serving = serviceSpans(course);
  const first = serving[0];
  const stretch = first && { from: first.from, to: facts.until };
  const gaps = stretch ? gapsIn(stretch, facts.gateways) : [];
  const daysSince = stretch ? daysOf([stretch]) : 0;
  const days = daysSince - daysOf(gaps);
  const monthEnds = stretch ? monthEndsIn(stretch, gaps) : [];
  const epochs = new Set(course.map(({ epoch }) => epoch));
  const ofCourse = facts.periods.filter(({ epoch }) => epochs.has(epoch));
  const serves = (period: JudgedPeriod) => serving.some(({ epoch }) => epoch === period.epoch);
  const isRead = isSafeOperation(facts.operation);
  const judged = ofCourse.filter((period) => serves(period));
  const compared = isRead ? judged : ofCourse.filter((period) => !serves(period));
  const timeReasons = () => [
    ...days < REQUIRED_DAYS
      ? [
        `it is on service for ${shown(days)} of ${REQUIRED_DAYS} days` + sinceKill(first) +
        (gaps.length === 0 ? "" : `: ${shown(daysOf(gaps))} days without a gateway don't count`),
      ]
      : [],
    ...monthEnds.length === 0
      ? ["no month's end was seen on service, with the day before and the day after"]
      : [],
  ];
  const because = [
    ...first === undefined ? [notOnService(facts)] : timeReasons(),
    ...ofCourse.filter(({ verdict }) => verdict === "fail").map(sentenceOf),
    ...isRead || first === undefined ? [] : compareReasons(facts.operation, compared),
    ...first === undefined ? [] : evidenceReasons(judged),
    ...approvalReasons(facts, epochs),
  ];
  return {
    ready: because.length === 0,
    because,
    /** Since when Lotline responds to everyone; undefined: it doesn't. */
    since: first?.from,
    /** Days of it in which a gateway ran. */
    days: Number(days.toFixed(2)),
    /** Such as `2026-11`. */
    monthEnds,
    /** Comparisons without an unapproved difference, of the time that counts. */
    comparisons: compared.reduce((sum, { confirmed }) => sum + confirmed, 0),
  };
}

function notOnService({ mode, latch, spans }: RouteFacts): string {
  if (latch !== undefined) return `it was rolled back, and is held on legacy: ${latch}`;
  const last = spans.at(-1);
  return last?.by.what === "kill"
    ? `the kill switch is on (${last.by.who}: ${last.by.why}), so that the old server responds`
    : `it is on ${describeMode(mode)}, and must be on service for ${REQUIRED_DAYS} days`;
}

/** A time on `service` that began with the end of the kill switch. */
function sinceKill(first: Span | undefined): string {
  return first?.by.what === "release"
    ? `, since the kill switch was released at ${first.by.at}`
    : "";
}

/** Why the comparisons of a write, which end with its switch to `service`, are too few. */
function compareReasons(operation: LegacyOperation, periods: readonly JudgedPeriod[]): string[] {
  const compared = periods.reduce((sum, period) => sum + period.compared, 0);
  if (compared === 0) {
    return [
      `no write was compared in this period before ${operation} was on service: shadow it first, or ` +
      "begin the report earlier",
    ];
  }
  return evidenceReasons(periods);
}

/**
 * What speaks against evidence that didn't fail. A later pass answers an earlier lack; a period with
 * too few samples needs one pass beside it.
 */
function evidenceReasons(periods: readonly JudgedPeriod[]): string[] {
  const open = periods.slice(periods.findLastIndex(({ verdict }) => verdict === "pass") + 1)
    .filter(({ verdict }) => verdict === "inconclusive");
  if (open.length === 0) return [];
  const last = open.at(-1);
  if (open.length === periods.length && last !== undefined) return [sentenceOf(last)];
  return open.filter(({ holes }) => holes.length > 0).map((period) =>
    sentenceOf({ ...period, reasons: period.holes })
  );
}

function sentenceOf({ from, until, mode, verdict, reasons }: JudgedPeriod): string {
  return `${describeMode(mode)} from ${from} until ${until} was ` +
    `${verdict === "fail" ? "a fail" : verdict}: ${reasons.join("; ")}`;
}

function approvalReasons({ approvals, until }: RouteFacts, epochs: ReadonlySet<number>): string[] {
  return approvals.filter((one) => one.epochs.some((epoch) => epochs.has(epoch)))
    .flatMap(({ id, count, entry }) => {
      if (entry === undefined) {
        return [
          `${count} differences passed by approval ${id}, which is no longer in approved.yaml`,
        ];
      }
      return entry.review <= until.slice(0, 10)
        ? [`the approval ${id} was used ${count} times, and its review was due on ${entry.review}`]
        : [];
    });
}

/** What keeps the old server needed whatever the operation. */
export function commonReasons({ killed, unknown, loosened, until }: {
  readonly killed: { readonly by: string; readonly why: string } | undefined;
  readonly unknown: readonly {
    readonly method: string;
    readonly path: string;
    readonly count: number;
    readonly last: string;
  }[];
  readonly loosened: readonly LimitsChange[];
  readonly until: string;
}): string[] {
  const recently = new Date(Date.parse(until) - REQUIRED_DAYS * 86_400_000).toISOString();
  const seen = unknown.filter(({ last }) => last >= recently);
  const times = seen.reduce((sum, { count }) => sum + count, 0);
  const changes = loosened.filter((change) => change.at >= recently && change.loosened.length > 0);
  return [
    ...killed ? [`the kill switch is on (${killed.by}: ${killed.why})`] : [],
    ...seen.length === 0 ? [] : [
      `${
        counted(seen.length, "unknown path was", "unknown paths were")
      } requested in the last ${REQUIRED_DAYS} days, and only the ` +
      `old server responds (${counted(times, "request", "requests")} in this period)`,
    ],
    ...changes.map(({ at, by, why, loosened }) =>
      `the limits were loosened in the last ${REQUIRED_DAYS} days: ${
        loosened.join(", ")
      } at ${at} ` +
      `(${by}: ${why})`
    ),
  ];
}

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;

/** Rounded down: 13.97 days are not 14. */
const shown = (days: number) => (Math.floor(days * 10) / 10).toFixed(1);
