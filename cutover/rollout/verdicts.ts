import type { Sql } from "../../db/sql.ts";
import { quantileOf } from "../evidence/histogram.ts";
import type { Thresholds } from "./thresholds.ts";
import type { ClientsBelow, MovedShare } from "../routes/moved_share.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import type { StoredRoute } from "../routes/routing.ts";
import { untouchedRoute } from "../routes/routing.ts";
import { type EpochCounts, listEpochCounts } from "../evidence/epoch_counts.ts";
import { listSeenClients } from "../routes/route_clients.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { listCases } from "./verdict_cases.ts";
import {
  isCompared,
  judge,
  type Judgement,
  lostGaps,
  type RouteEvidence,
  type UpstreamFigures,
} from "./verdict.ts";

/** How long a side's answers of the last window took, in ms; absent: there were none. */
export interface Pace {
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** How an operation of the old API stands. */
export interface RouteVerdict {
  readonly operation: LegacyOperation;
  readonly route: StoredRoute;
  readonly judgement: Judgement;
  /** Of the whole epoch. */
  readonly counts: EpochCounts;
  readonly legacy: Pace;
  readonly service: Pace;
  /** What was really moved in the window; absent: it isn't judged. */
  readonly share?: MovedShare;
  /** How many clients of this epoch a canary of n % moves; absent: none was seen. */
  readonly clientsBelow?: ClientsBelow;
  /** See {@link ThresholdsForm}; absent: it isn't judged. */
  readonly shareFactor?: number;
}

const ALONE: Judgement = { verdict: "not enough yet", reasons: ["the old server answers alone"] };
const CHANGED: Judgement = { verdict: "not enough yet", reasons: ["it is being changed"] };
const NO_PACE: Pace = { p50: undefined, p99: undefined };

/** All operations of the old API with their verdicts, and whether the kill switch is on. */
export async function readVerdicts(
  sql: Sql,
): Promise<{ readonly killed: boolean; readonly verdicts: readonly RouteVerdict[] }> {
  const { routes, killed } = await readRoutes(sql);
  const cases = await listCases(sql);
  const counts = await listEpochCounts(sql);
  const seen = await listSeenClients(sql);
  const verdicts = LEGACY_OPERATIONS.map((operation): RouteVerdict => {
    const route = routes.get(operation) ?? untouchedRoute(operation);
    const epochCounts = counts.find((one) => one.operation === operation);
    if (epochCounts === undefined) throw new Error(`${operation} has no counts`);
    const found = cases.find(({ evidence }) => evidence.operation === operation);
    // Several statements: what was read of an epoch before or after is no evidence for this one.
    const isOfNow = found?.evidence.epoch === route.epoch && epochCounts.epoch === route.epoch;
    if (found === undefined || !isOfNow || route.mode.name === "legacy") {
      const judgement = route.mode.name === "legacy" ? ALONE : CHANGED;
      return {
        operation,
        route,
        judgement,
        counts: epochCounts,
        legacy: NO_PACE,
        service: NO_PACE,
      };
    }
    const clients = seen.find((one) => one.operation === operation && one.epoch === route.epoch);
    return {
      operation,
      route,
      share: found.evidence.share,
      ...clients && { clientsBelow: clients.below },
      shareFactor: found.thresholds.share_factor,
      judgement: judgeWithEpoch(found.evidence, epochCounts, found.thresholds),
      counts: epochCounts,
      legacy: paceOf(found.evidence.legacy),
      service: paceOf(found.evidence.service),
    };
  });
  return { killed: killed !== undefined, verdicts };
}

/** As {@link judge} does it, and no pass when too much was lost in the epoch as a whole. */
function judgeWithEpoch(
  evidence: RouteEvidence,
  epoch: Pick<EpochCounts, "outcomes" | "coverage">,
  thresholds: Thresholds,
): Judgement {
  const judgement = judge(evidence, thresholds);
  const gaps = lostGaps(evidence, thresholds).length === 0 ? lostGaps(epoch, thresholds) : [];
  if (gaps.length === 0 || !isCompared(evidence) || judgement.verdict === "fail") return judgement;
  const reasons = gaps.map((gap) => `since its mode was changed, ${gap}`);
  return { verdict: "not enough yet", reasons: [...judgement.reasons, ...reasons] };
}

function paceOf({ latencies }: UpstreamFigures): Pace {
  return { p50: quantileOf(latencies, 0.5), p99: quantileOf(latencies, 0.99) };
}
