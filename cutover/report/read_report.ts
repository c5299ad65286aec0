import type { Sql } from "../../db/sql.ts";
import type { Approvals } from "../compare/approvals.ts";
import { type CoverageCounts, coverageOf } from "../evidence/coverage.ts";
import type { Outcome } from "../evidence/coverage.ts";
import { quantileOf } from "../evidence/histogram.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { LEGACY_OPERATIONS, type LegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import { describeMode, type Routing, untouchedRoute } from "../routes/routing.ts";
import { NO_SHARE } from "../routes/moved_share.ts";
import { readThresholds } from "../rollout/thresholds_table.ts";
import {
  type Change,
  DEADLINE_MS,
  findPeriod,
  listChangesIn,
  listCoverageSums,
  listDifferenceKinds,
  listOutcomeSums,
  listResponseSums,
  type Period,
} from "./report_queries.ts";
import { listMovedSteps } from "../routes/route_clients.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { judge, NO_FIGURES, type UpstreamFigures as Counted } from "../rollout/verdict.ts";
import {
  comparedOf,
  type ModeChange,
  type ReportData,
  type RouteEvidence,
  type UpstreamFigures,
  type UsedApproval,
  type Verdict,
} from "./report_data.ts";

const NOTHING: RouteEvidence["outcomes"] = {
  same: 0,
  approved: 0,
  raced: 0,
  late: 0,
  different: 0,
  unanswered: 0,
  lost: 0,
};

/**
 * Reads the evidence of a period, in whole minutes; what isn't given reaches as far as there is any.
 * All of it is seen as it was at one moment.
 *
 * @param sql one connection, not a pool
 * @param approvals what is agreed to today: an approval that was used and isn't there any more fails
 * a route
 */
export async function readReport(
  sql: Sql,
  requested: { readonly since?: string | undefined; readonly until?: string | undefined },
  approvals: Approvals,
): Promise<ReportData> {
  await sql`begin transaction isolation level repeatable read, read only`;
  const known = await findPeriod(sql);
  const since = minuteOf(requested.since ?? known?.since ?? new Date(0).toISOString(), Math.floor);
  const until = minuteOf(requested.until ?? known?.until ?? since, Math.ceil);
  const period: Period = { since, until };
  const collectedAt = {
    period,
    routing: await readRoutes(sql),
    limits: await readThresholds(sql),
    answers: await listResponseSums(sql, period),
    outcomes: await listOutcomeSums(sql, period),
    moved: await listMovedSteps(sql, { ...period, deadlineMs: DEADLINE_MS }),
    coverage: await listCoverageSums(sql, period),
    differences: await listDifferenceKinds(sql, period),
    changes: await listChangesIn(sql, period),
    approvals,
  };
  await sql`commit`;
  const { killed } = collectedAt.routing;
  return {
    since,
    until,
    ...(killed && { killed: { by: killed.who, why: killed.why } }),
    limits: collectedAt.limits,
    routes: LEGACY_OPERATIONS.map((operation) => routeOf(operation, collectedAt)),
  };
}

type Of<Read extends (...args: never[]) => unknown> = Awaited<ReturnType<Read>>;

/** What was read of all routes. */
interface CollectedEvidence {
  readonly period: Period;
  readonly routing: Routing;
  readonly limits: Thresholds;
  readonly answers: Of<typeof listResponseSums>;
  readonly outcomes: Of<typeof listOutcomeSums>;
  readonly moved: Of<typeof listMovedSteps>;
  readonly coverage: Of<typeof listCoverageSums>;
  readonly differences: Of<typeof listDifferenceKinds>;
  readonly changes: readonly Change[];
  readonly approvals: Approvals;
}

function routeOf(operation: LegacyOperation, collectedAt: CollectedEvidence): RouteEvidence {
  const ours = <Row extends { readonly operation: string }>(rows: readonly Row[]) =>
    rows.filter((row) => row.operation === operation);
  const { method = "", path = "" } = OPERATIONS.find((one) => one.operation === operation) ?? {};
  const route = collectedAt.routing.routes.get(operation) ?? untouchedRoute(operation);
  const responses = ours(collectedAt.answers);
  const counts = ours(collectedAt.outcomes);
  const outcomes: Record<Outcome, number> = { ...NOTHING };
  for (const { outcome, approval, count } of counts) if (approval === "") outcomes[outcome] = count;
  const coverage: CoverageCounts = Object.fromEntries(
    ours(collectedAt.coverage).map(({ what, count }) => [what, count]),
  );
  const seen = [...responses, ...counts];
  const countedOf = (upstream: Upstream) => {
    const sum = responses.find((one) => one.side === upstream);
    return sum === undefined ? NO_FIGURES : { ...sum, serverErrors: sum.server_errors };
  };
  const counted = { legacy: countedOf("legacy"), service: countedOf("service") };
  const moved = ours(collectedAt.moved);
  const differences = ours(collectedAt.differences);
  const used = ours(collectedAt.outcomes).filter(({ approval }) => approval !== "");
  const approvals = usedApprovals(used, collectedAt.approvals);
  return {
    operation,
    method,
    path,
    ...(seen.length > 0 && {
      seen: {
        from: seen.map(({ first }) => first).toSorted()[0] ?? "",
        to: seen.map(({ last }) => last).toSorted().at(-1) ?? "",
      },
    }),
    now: {
      mode: route.mode,
      samplePercent: route.samplePercent,
      ...(route.latch !== undefined && { latch: route.latch }),
    },
    history: ours(collectedAt.changes).map(changeOf),
    moved: moved.map(({ operation: _, epoch: __, ...step }) => step),
    outcomes,
    coverage: coverageOf({ outcomes, coverage }),
    differences: differences.map((
      { fingerprint, kept, first, last, mode, request, differences },
    ) => ({
      fingerprint,
      kept,
      first,
      last,
      example: {
        mode,
        request: request === null ? "(not kept)" : `${request.method} ${request.target}`,
        differences: differences.map(({ place, legacy, service }) => ({
          place,
          ...(legacy !== undefined && { legacy }),
          ...(service !== undefined && { service }),
        })),
      },
    })),
    approvals,
    sides: { legacy: figuresOf(counted.legacy), service: figuresOf(counted.service) },
    verdict: verdictOf(approvals, {
      operation,
      // A route that went back for the night has its evidence all the same.
      mode: route.mode.name === "legacy" && comparedOf(outcomes) > 0
        ? { name: "shadow" }
        : route.mode,
      epoch: route.epoch,
      ...counted,
      legacyBefore: NO_FIGURES,
      share: moved.find(({ epoch }) => epoch === route.epoch) ?? NO_SHARE,
      outcomes,
      coverage,
      different: outcomes.different,
      places: differences.flatMap((kind) => kind.differences.map(({ place }) => place)),
    }, collectedAt.limits),
  };
}

function verdictOf(
  approvals: readonly UsedApproval[],
  evidence: Parameters<typeof judge>[0],
  limits: Thresholds,
): Verdict {
  const { verdict, reasons } = judge(evidence, limits);
  const withdrawn = approvals.filter(({ entry }) => entry === undefined).map(({ id, count }) =>
    `${count} differences passed by the approval ${id}, which isn't there any more`
  );
  if (withdrawn.length === 0) return { result: verdict, reasons };
  // What is missing for a pass is no reason for a fail.
  return { result: "fail", reasons: verdict === "fail" ? [...reasons, ...withdrawn] : withdrawn };
}

function usedApprovals(
  used: readonly { readonly approval: string; readonly count: number }[],
  approvals: Approvals,
): readonly UsedApproval[] {
  const counts = new Map<string, number>();
  for (const { approval, count } of used) {
    counts.set(approval, (counts.get(approval) ?? 0) + count);
  }
  return [...counts].toSorted(([a], [b]) => a < b ? -1 : 1).map(([id, count]) => {
    const entry = approvals.find((one) => one.id === id);
    if (entry === undefined) return { id, count };
    const { reason, approved, review } = entry;
    return { id, count, entry: { reason, approved, review } };
  });
}

function changeOf(change: Change): ModeChange {
  const { at, what, who, why, automatic, from_mode, from_percent, to_sample } = change;
  const to = modeText(change.to_mode, change.to_percent);
  return {
    at,
    what,
    by: who,
    why,
    from: modeText(from_mode, from_percent),
    to: to_sample === null ? to : `${to}, ${to_sample} of 100 compared`,
    automatic,
  };
}

function modeText(name: string, percent: number | null): string {
  return name === "canary" && percent !== null ? describeMode({ name, percent }) : name;
}

function figuresOf({ requests, serverErrors, silences, latencies }: Counted): UpstreamFigures {
  const [p50, p99] = [quantileOf(latencies, 0.5), quantileOf(latencies, 0.99)];
  return {
    requests: requests,
    failed: serverErrors,
    silent: silences,
    ...(p50 !== undefined && { p50: rounded(p50) }),
    ...(p99 !== undefined && { p99: rounded(p99) }),
  };
}

/** To three digits: the classes are no finer. */
function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}

function minuteOf(moment: string, round: (minutes: number) => number): string {
  return new Date(round(Date.parse(moment) / 60_000) * 60_000).toISOString();
}
