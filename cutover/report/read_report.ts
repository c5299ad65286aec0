import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import type { Approvals } from "../compare/approvals.ts";
import { coverageOf, OutcomeForm } from "../evidence/coverage.ts";
import { quantileOf } from "../evidence/histogram.ts";
import { LEGACY_OPERATIONS, type LegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import { untouchedRoute } from "../routes/routing.ts";
import { NO_SHARE } from "../routes/moved_share.ts";
import { readThresholds, type Thresholds } from "../rollout/thresholds.ts";
import {
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
import { modeText, type RecordedChange } from "../routes/route_changes.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { judge, NO_FIGURES, type UpstreamFigures, type Verdict } from "../rollout/verdict.ts";

/**
 * The evidence of the cutover. It holds no clock: the same data makes the same report. Moments are
 * UTC text with milliseconds; `until` is the moment after the last one that counts.
 */
export type ReportData = Awaited<ReturnType<typeof readReport>>;

export type RouteReport = ReportData["routes"][number];

const AllOutcomes = z.record(OutcomeForm, z.number().default(0));

/**
 * Reads the evidence of a period in whole minutes, as of one moment. A missing end means the first or
 * the last evidence.
 *
 * @param sql one connection, not a pool
 * @param approvals those of today: an approval that was used and is no longer there fails a route
 */
export async function readReport(
  sql: Sql,
  requested: { readonly since?: string | undefined; readonly until?: string | undefined },
  approvals: Approvals,
) {
  await sql`begin transaction isolation level repeatable read, read only`;
  const known = await findPeriod(sql);
  const since = minuteOf(requested.since ?? known?.since ?? new Date(0).toISOString(), Math.floor);
  const until = minuteOf(requested.until ?? known?.until ?? since, Math.ceil);
  const collected = await collect(sql, { since, until });
  await sql`commit`;
  const { limits, routing: { killed } } = collected;
  return {
    since,
    until,
    ...(killed && { killed: { by: killed.who, why: killed.why } }),
    limits,
    routes: LEGACY_OPERATIONS.map((operation) => routeOf(operation, collected, approvals)),
  };
}

async function collect(sql: Sql, period: Period) {
  return {
    routing: await readRoutes(sql),
    limits: await readThresholds(sql),
    responses: await listResponseSums(sql, period),
    outcomes: await listOutcomeSums(sql, period),
    moved: await listMovedSteps(sql, { ...period, deadlineMs: DEADLINE_MS }),
    coverage: await listCoverageSums(sql, period),
    differences: await listDifferenceKinds(sql, period),
    changes: await listChangesIn(sql, period),
  };
}

type Collected = Awaited<ReturnType<typeof collect>>;

function routeOf(operation: LegacyOperation, collected: Collected, approved: Approvals) {
  const ours = <Row extends { readonly operation: string | null }>(rows: readonly Row[]) =>
    rows.filter((row) => row.operation === operation);
  const { method = "", path = "" } = OPERATIONS.find((one) => one.operation === operation) ?? {};
  const route = collected.routing.routes.get(operation) ?? untouchedRoute(operation);
  const responses = ours(collected.responses);
  const counts = ours(collected.outcomes);
  const outcomes = AllOutcomes.parse(Object.fromEntries(
    counts.filter(({ approval }) => approval === "").map(({ outcome, count }) => [outcome, count]),
  ));
  const coverage = Object.fromEntries(
    ours(collected.coverage).map(({ what, count }) => [what, count]),
  );
  const seen = [...responses, ...counts];
  const countedOf = (upstream: Upstream) =>
    responses.find((one) => one.side === upstream)?.figures ?? NO_FIGURES;
  const counted = { legacy: countedOf("legacy"), service: countedOf("service") };
  const moved = ours(collected.moved);
  const differences = ours(collected.differences);
  const approvals = usedApprovals(counts.filter(({ approval }) => approval !== ""), approved);
  return {
    operation,
    method,
    path,
    ...(seen.length > 0 && {
      /** The first and the last minute with evidence. */
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
    /** Oldest first; the first one may be what was in force before. */
    history: ours(collected.changes).map(changeOf),
    /** The share that each canary moved, oldest first. */
    moved: moved.map(({ operation: _, epoch: __, ...step }) => step),
    outcomes,
    coverage: coverageOf({ outcomes, coverage }),
    differences: differences.map(({ operation: _, mode, request, differences, ...kind }) => ({
      ...kind,
      example: {
        mode,
        request: request === null ? "(not kept)" : `${request.method} ${request.target}`,
        differences,
      },
    })),
    approvals,
    sides: { legacy: figuresOf(counted.legacy), service: figuresOf(counted.service) },
    verdict: verdictOf(approvals, {
      operation,
      // A route that is back on legacy keeps its evidence.
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
    }, collected.limits),
  };
}

function verdictOf(
  approvals: ReturnType<typeof usedApprovals>,
  evidence: Parameters<typeof judge>[0],
  limits: Thresholds,
): { readonly result: Verdict; readonly reasons: readonly string[] } {
  const { verdict, reasons } = judge(evidence, limits);
  const withdrawn = approvals.filter(({ entry }) => entry === undefined).map(({ id, count }) =>
    `${count} differences passed by approval ${id}, which is no longer in approved.yaml`
  );
  if (withdrawn.length === 0) return { result: verdict, reasons };
  // What is missing for a pass is no reason for the fail.
  return { result: "fail", reasons: verdict === "fail" ? [...reasons, ...withdrawn] : withdrawn };
}

function usedApprovals(
  used: readonly { readonly approval: string; readonly count: number }[],
  approvals: Approvals,
) {
  return used.map(({ approval: id, count }) => {
    const entry = approvals.find((one) => one.id === id);
    if (entry === undefined) return { id, count };
    const { reason, approved, review } = entry;
    return { id, count, entry: { reason, approved, review } };
  });
}

function changeOf(change: RecordedChange) {
  const { at, who: by, why, automatic, from_mode, from_percent, to_sample } = change;
  const what: string = change.what;
  const from = modeText(from_mode, from_percent);
  const to = modeText(change.to_mode, change.to_percent) +
    (to_sample === null ? "" : `, ${to_sample} of 100 compared`);
  return { at, what, by, why, from, to, automatic };
}

function figuresOf({ requests, serverErrors, silences, latencies }: UpstreamFigures) {
  // To three digits, as fine as the buckets.
  const quantile = (share: number) => {
    const ms = quantileOf(latencies, share);
    return ms === undefined ? undefined : Number(ms.toPrecision(3));
  };
  return {
    requests,
    failed: serverErrors,
    silent: silences,
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

/** The verdict over all routes: `fail` with one route that failed, `pass` only when all passed. */
export function resultOf({ routes }: { readonly routes: readonly RouteReport[] }): Verdict {
  const results = new Set(routes.map(({ verdict }) => verdict.result));
  if (results.has("fail")) return "fail";
  return results.has("inconclusive") || results.size === 0 ? "inconclusive" : "pass";
}

export function comparedOf(outcomes: z.output<typeof AllOutcomes>): number {
  const { same, approved, raced, late, different } = outcomes;
  return same + approved + raced + late + different;
}

function minuteOf(moment: string, round: (minutes: number) => number): string {
  return new Date(round(Date.parse(moment) / 60_000) * 60_000).toISOString();
}
