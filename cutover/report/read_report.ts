import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import type { Build } from "../build.ts";
import type { Approvals } from "../compare/approvals.ts";
import { coverageOf, type OutcomeCounts, OutcomeForm } from "../evidence/coverage.ts";
import { quantileOf } from "../evidence/histogram.ts";
import { LEGACY_OPERATIONS, type LegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import { untouchedRoute } from "../routes/routing.ts";
import { judgePeriods, type Part, sumOf } from "./judged_periods.ts";
import { limitChanges } from "./limit_changes.ts";
import { gapsIn } from "./month_ends.ts";
import { commonReasons, readinessOf, type UsedApproval } from "./readiness.ts";
import {
  DEADLINE_MS,
  findPeriod,
  listBuilds,
  listChangesIn,
  listCoverageSums,
  listDifferenceKinds,
  listGatewayTimes,
  listLimits,
  listOutcomeSums,
  listResponseSums,
  listUnknown,
  type Period,
} from "./report_queries.ts";
import { spansOf } from "./spans.ts";
import { listMovedSteps } from "../routes/route_clients.ts";
import { modeText, type RecordedChange } from "../routes/route_changes.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { NO_FIGURES, type UpstreamFigures } from "../rollout/verdict.ts";

/**
 * The evidence of the cutover. It holds no clock: the same data makes the same report. Moments are
 * UTC text with milliseconds; `until` is the moment after the last one that counts.
 */
export type ReportData = Awaited<ReturnType<typeof readReport>>;

export type RouteReport = ReportData["routes"][number];

const AllOutcomes = z.record(OutcomeForm, z.number().default(0));

export interface ReportOptions {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** The operator's name for the old server. */
  readonly oldServer?: string | undefined;
  /** The Lotline that makes the report. */
  readonly build: Build;
  /** Reports progress. */
  readonly print?: (line: string) => void;
}

/**
 * Reads the evidence of a period in whole minutes, as of one moment. A missing end means the first or
 * the last evidence.
 *
 * @param sql one connection, not a pool
 * @param approvals those of today: an approval that was used and is no longer there is no approval
 */
export async function readReport(sql: Sql, requested: ReportOptions, approvals: Approvals) {
  await sql`begin transaction isolation level repeatable read, read only`;
  const known = await findPeriod(sql);
  const since = minuteOf(requested.since ?? known?.since ?? new Date(0).toISOString(), Math.floor);
  const until = minuteOf(requested.until ?? known?.until ?? since, Math.ceil);
  const collected = await collect(sql, { since, until }, requested.print);
  await sql`commit`;
  const { routing, limits, gateways, builds, unknown } = collected;
  const killed = routing.killed && { by: routing.killed.who, why: routing.killed.why };
  const changes = limitChanges(limits);
  const because = commonReasons({ killed, unknown, loosened: changes, until });
  const routes = LEGACY_OPERATIONS.map((operation) =>
    routeOf(operation, { since, until }, collected, approvals)
  );
  return {
    ready: because.length === 0 && routes.every(({ readiness }) => readiness.ready),
    /** Beside the reasons of each route. */
    because,
    since,
    until,
    lotline: { version: requested.build.version, commit: requested.build.commit ?? null },
    gateways: builds,
    oldServer: requested.oldServer ?? null,
    ...killed && { killed },
    limits: limits.map(({ id, at, values }) => ({ id, at, values })),
    limitChanges: changes,
    /** The parts of the period in which no gateway ran, so that nothing was seen. */
    withoutGateway: since === until ? [] : gapsIn({ from: since, to: until }, gateways),
    unknown,
    routes,
  };
}

async function collect(sql: Sql, period: Period, print: (line: string) => void = () => {}) {
  print(`Reading the evidence from ${period.since} until ${period.until}`);
  const state = {
    routing: await readRoutes(sql),
    limits: await listLimits(sql, period),
    changes: await listChangesIn(sql, period),
    gateways: await listGatewayTimes(sql, period),
    builds: await listBuilds(sql, period),
    unknown: await listUnknown(sql, period),
  };
  print("Reading the responses of both servers");
  const responses = await listResponseSums(sql, period);
  print("Reading the comparisons");
  return {
    ...state,
    responses,
    outcomes: await listOutcomeSums(sql, period),
    moved: await listMovedSteps(sql, { ...period, deadlineMs: DEADLINE_MS }),
    coverage: await listCoverageSums(sql, period),
    differences: await listDifferenceKinds(sql, period),
  };
}

type Collected = Awaited<ReturnType<typeof collect>>;

function routeOf(
  operation: LegacyOperation,
  period: Period,
  collected: Collected,
  approved: Approvals,
) {
  const ours = <Row extends { readonly operation: string | null }>(rows: readonly Row[]) =>
    rows.filter((row) => row.operation === operation);
  const { method = "", path = "" } = OPERATIONS.find((one) => one.operation === operation) ?? {};
  const route = collected.routing.routes.get(operation) ?? untouchedRoute(operation);
  const responses = ours(collected.responses);
  const counts = ours(collected.outcomes);
  const covered = ours(collected.coverage);
  const outcomes = AllOutcomes.parse(outcomesOf(counts));
  const coverage = coverageSums(covered);
  const seen = [...responses, ...counts];
  const moved = ours(collected.moved);
  const differences = ours(collected.differences);
  const approvals = usedApprovals(counts.filter(({ approval }) => approval !== ""), approved);
  const changes = ours(collected.changes);
  const spans = spansOf(changes, period);
  const periods = judgePeriods({
    operation,
    spans,
    parts: partsOf({ responses, counts, covered }),
    limits: collected.limits,
    moved,
    places: new Map(differences.map((kind) => [
      kind.epoch,
      kind.differences.map(({ place }) => place),
    ])),
  });
  const { gateways } = collected;
  return {
    operation,
    method,
    path,
    readiness: readinessOf({
      operation,
      mode: route.mode,
      latch: route.latch,
      spans,
      periods,
      gateways,
      approvals,
      until: period.until,
    }),
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
    history: changes.map(changeOf),
    /** Oldest first, each with the verdict of its own limits. */
    periods,
    /** The share that each canary moved, oldest first. */
    moved: moved.map(({ operation: _, epoch: __, ...step }) => step),
    outcomes,
    coverage: coverageOf({ outcomes, coverage }),
    differences: differences.map(
      ({ operation: _, epoch: __, mode, request, differences, ...kind }) => ({
        ...kind,
        example: {
          mode,
          request: request === null ? "(not kept)" : `${request.method} ${request.target}`,
          differences,
        },
      }),
    ),
    approvals,
    sides: {
      legacy: figuresOf(figuresOfSide(responses, "legacy")),
      service: figuresOf(figuresOfSide(responses, "service")),
    },
  };
}

type Responses = Collected["responses"];
type Counts = Collected["outcomes"];
type Covered = Collected["coverage"];

/** A route's evidence by epoch and limits. */
function partsOf({ responses, counts, covered }: {
  readonly responses: Responses;
  readonly counts: Counts;
  readonly covered: Covered;
}): Part[] {
  const keyOf = (row: { readonly epoch: number; readonly limits: number }) =>
    `${row.epoch} ${row.limits}`;
  const keys = new Map([...responses, ...counts].map((row) => [keyOf(row), row]));
  return [...keys].map(([key, { epoch, limits }]) => {
    const of = <Row extends { readonly epoch: number; readonly limits: number }>(
      rows: readonly Row[],
    ) => rows.filter((row) => keyOf(row) === key);
    const seen = [...of(responses), ...of(counts)];
    return {
      epoch,
      limits,
      figures: Object.fromEntries(of(responses).map(({ side, figures }) => [side, figures])),
      outcomes: outcomesOf(of(counts)),
      coverage: coverageSums(of(covered)),
      first: seen.map(({ first }) => first).toSorted()[0] ?? "",
      last: seen.map(({ last }) => last).toSorted().at(-1) ?? "",
    };
  });
}

function outcomesOf(counts: Counts): OutcomeCounts {
  const sums: Partial<Record<Counts[number]["outcome"], number>> = {};
  for (const { outcome, approval, count } of counts) {
    if (approval === "") sums[outcome] = (sums[outcome] ?? 0) + count;
  }
  return sums;
}

function coverageSums(covered: Covered): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { what, count } of covered) sums[what] = (sums[what] ?? 0) + count;
  return sums;
}

function figuresOfSide(responses: Responses, side: Upstream): UpstreamFigures {
  return responses.filter((one) => one.side === side)
    .reduce((sum, { figures }) => sumOf(sum, figures), NO_FIGURES);
}

function usedApprovals(used: Counts, approvals: Approvals): UsedApproval[] {
  return [...Map.groupBy(used, ({ approval }) => approval)].map(([id, rows]) => {
    const found = approvals.find((one) => one.id === id);
    return {
      id,
      count: rows.reduce((sum, { count }) => sum + count, 0),
      epochs: [...new Set(rows.map(({ epoch }) => epoch))],
      entry: found &&
        { reason: found.reason, approved: found.approved, review: found.review },
    };
  }).toSorted((one, other) => one.id < other.id ? -1 : 1);
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

function minuteOf(moment: string, round: (minutes: number) => number): string {
  return new Date(round(Date.parse(moment) / 60_000) * 60_000).toISOString();
}
