import { connect } from "../../db/connect.ts";
import { describeError, type Log } from "../../log.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { rollBack } from "../routes/routes_table.ts";
import { listCases } from "./verdict_cases.ts";
import { judge, type Judgement } from "./verdict.ts";

/** How often the evidence is judged, in ms. */
const JUDGE_MS = 500;
/** PostgreSQL works on one statement so long at most, in ms. */
const STATEMENT_TIMEOUT_MS = 2_000;
/** An answer is waited for so long, in ms. */
const RESPONSE_TIMEOUT_MS = 3_500;

/** What a guardian needs. */
export interface AutoRollbackOptions {
  readonly databaseUrl: string;
  readonly log: Log;
  /** Is told of a route that this process has put back on `legacy`; others hear it by polling. */
  readonly onRollback?: (operation: LegacyOperation) => void;
}

/** Watches over the routes; disposing ends it. */
export interface AutoRollback extends AsyncDisposable {
  /** What was found last, of every route that wasn't on `legacy`. */
  readonly verdicts: ReadonlyMap<LegacyOperation, Judgement>;
}

/**
 * Begins to judge, every {@link JUDGE_MS}, the evidence of all gateways, and puts a route that fails
 * back on `legacy`, where it stays until a person clears it. Any number of processes may do so at
 * once: a rollback is of one epoch. Without PostgreSQL there is nothing to do: all routes are on
 * `legacy` then.
 */
export function startAutoRollback(
  { databaseUrl, log, onRollback }: AutoRollbackOptions,
): AutoRollback {
  const sql = connect({
    url: databaseUrl,
    max: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    name: "lotline-gateway-guardian",
  });
  let verdicts: ReadonlyMap<LegacyOperation, Judgement> = new Map();
  let isDatabaseAway = false;

  const look = async () => {
    const found = new Map<LegacyOperation, Judgement>();
    for (const { evidence, thresholds: limits } of await listCases(sql, RESPONSE_TIMEOUT_MS)) {
      const { operation, epoch } = evidence;
      const judgement = judge(evidence, limits);
      found.set(operation, judgement);
      if (judgement.verdict !== "fail") continue;
      const why = judgement.reasons.join("; ");
      // False: another process was faster, or somebody has moved the route meanwhile.
      if (!await rollBack(sql, { operation, epoch, why })) continue;
      log("warn", "route_rolled_back", { operation, epoch, why });
      onRollback?.(operation);
    }
    verdicts = found;
  };

  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const round = async () => {
    const began = performance.now();
    try {
      await look();
      if (isDatabaseAway) log("info", "verdicts_recovered");
      isDatabaseAway = false;
    } catch (error) {
      // What was found before says nothing of now.
      verdicts = new Map();
      if (!isDatabaseAway && !isOver) {
        log("warn", "verdicts_failed", { error: describeError(error) });
      }
      isDatabaseAway = true;
    }
    // A long window of a busy plant takes time to be read: PostgreSQL has more to do than this.
    const pauseMs = Math.max(JUDGE_MS, performance.now() - began);
    if (!isOver) timer = setTimeout(() => running = round(), pauseMs);
  };
  let running = round();

  return {
    get verdicts() {
      return verdicts;
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearTimeout(timer);
      await sql.end({ timeout: 1 });
      await running;
    },
  };
}
