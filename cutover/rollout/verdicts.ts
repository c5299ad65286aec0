import type { Sql } from "../../db/sql.ts";
import { quantileOf } from "../evidence/histogram.ts";
import { readThresholds, type Thresholds } from "./thresholds.ts";
import { type ClientsBelow, type MovedShare, stepGap } from "../routes/moved_share.ts";
import { LEGACY_OPERATIONS, type LegacyOperation, type Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { type StoredRoute, untouchedRoute } from "../routes/routing.ts";
import { type EpochCounts, listEpochCounts } from "../evidence/epoch_counts.ts";
import { listSeenClients } from "../routes/route_clients.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { listCases } from "./verdict_cases.ts";
import {
  isCompared,
  judge,
  type Judgement,
  lostGaps,
  NO_EVIDENCE,
  type RouteEvidence,
  type UpstreamFigures,
} from "./verdict.ts";
import { type Hindrance, type SeenOfRoute, whyNothingCounts } from "./why_nothing_counts.ts";

export type Pace = ReturnType<typeof paceOf>;

export interface RouteVerdict {
  readonly operation: LegacyOperation;
  readonly route: StoredRoute;
  readonly judgement: Judgement;
  readonly counts: EpochCounts;
  readonly legacy: Pace;
  readonly service: Pace;
  /** The share that Lotline served in the window; absent: the route isn't judged. */
  readonly share?: MovedShare;
  /** How many clients of this epoch a canary of n % moves; absent: there was no client. */
  readonly clientsBelow?: ClientsBelow;
  /** Why its evidence isn't enough, and what to do; absent: the route isn't judged. */
  readonly hindrances?: readonly Hindrance[];
  /** See {@link ThresholdsForm}; absent: the route isn't judged. */
  readonly shareFactor?: number;
}

const CHANGED = "its mode is being changed";
const NO_PACE = paceOf({ latencies: {} });

/** All operations of the old API with their verdicts, and whether the kill switch is on. */
export async function readVerdicts(
  sql: Sql,
): Promise<{ readonly killed: boolean; readonly verdicts: readonly RouteVerdict[] }> {
  const { routes, killed } = await readRoutes(sql);
  const cases = await listCases(sql);
  const allCounts = await listEpochCounts(sql);
  const seen = await listSeenClients(sql);
  const verdicts = LEGACY_OPERATIONS.map((operation): RouteVerdict => {
    const route = routes.get(operation) ?? untouchedRoute(operation);
    const counts = allCounts.find((one) => one.operation === operation);
    if (counts === undefined) throw new Error(`${operation} has no counts`);
    const found = cases.find(({ evidence }) => evidence.operation === operation);
    // Several statements: another one may have read the epoch before or after this one.
    const isOfNow = found?.evidence.epoch === route.epoch && counts.epoch === route.epoch;
    if (found === undefined || !isOfNow || route.mode.name === "legacy") {
      const reason = route.mode.name === "legacy" ? NO_EVIDENCE : CHANGED;
      const judgement: Judgement = { verdict: "inconclusive", reasons: [reason] };
      return { operation, route, judgement, counts, legacy: NO_PACE, service: NO_PACE };
    }
    const clients = seen.find((one) => one.operation === operation && one.epoch === route.epoch);
    const judgement = judgeWithEpoch(found.evidence, counts, found.thresholds);
    return {
      operation,
      route,
      share: found.evidence.share,
      hindrances: judgement.verdict === "inconclusive"
        ? whyNothingCounts(seenOf(route, counts, clients?.share, operation), found.thresholds)
        : [],
      ...clients && { clientsBelow: clients.below },
      shareFactor: found.thresholds.share_factor,
      judgement,
      counts,
      legacy: paceOf(found.evidence.legacy),
      service: paceOf(found.evidence.service),
    };
  });
  return { killed: killed !== undefined, verdicts };
}

function seenOf(
  { mode, samplePercent }: StoredRoute,
  { seconds, requests, outcomes, coverage }: EpochCounts,
  share: MovedShare | undefined,
  operation: LegacyOperation,
): SeenOfRoute {
  return {
    operation,
    mode,
    samplePercent,
    seconds: seconds ?? 0,
    requests: (requests.legacy ?? 0) + (requests.service ?? 0),
    share,
    outcomes,
    coverage,
  };
}

/** As {@link judge}; too many lost comparisons in the whole epoch prevent a pass as well. */
function judgeWithEpoch(
  evidence: RouteEvidence,
  epoch: Pick<EpochCounts, "outcomes" | "coverage">,
  thresholds: Thresholds,
): Judgement {
  const judgement = judge(evidence, thresholds);
  const gaps = lostGaps(evidence, thresholds).length === 0 ? lostGaps(epoch, thresholds) : [];
  if (gaps.length === 0 || !isCompared(evidence) || judgement.verdict === "fail") return judgement;
  const reasons = gaps.map((gap) => `since the last change, ${gap}`);
  return { verdict: "inconclusive", reasons: [...judgement.reasons, ...reasons] };
}

/** How long an upstream's responses took, in ms; undefined: there were none. */
function paceOf({ latencies }: Pick<UpstreamFigures, "latencies">) {
  return { p50: quantileOf(latencies, 0.5), p99: quantileOf(latencies, 0.99) };
}

/**
 * A sentence for each operation whose clients, as seen in the present mode, make this mode no canary.
 * To be read before the mode is set.
 */
export async function canaryWarnings(
  sql: Sql,
  operations: readonly Operation[],
  mode: Mode,
): Promise<ReadonlyMap<Operation, string>> {
  if (mode.name !== "canary") return new Map();
  const { share_factor } = await readThresholds(sql);
  const warnings = new Map<Operation, string>();
  for (const { operation, below } of await listSeenClients(sql)) {
    const gap = stepGap(mode, below, share_factor);
    if (gap !== undefined && operations.includes(operation)) {
      warnings.set(operation, `${gap}; the gateways tell clients apart by CANARY_BY`);
    }
  }
  return warnings;
}
