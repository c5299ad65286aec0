import { connect } from "../../db/connect.ts";
import { describeError, type Log } from "../../log.ts";
import { delay } from "../../timing.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { rollBack } from "../routes/routes_table.ts";
import { listCases } from "./verdict_cases.ts";
import { judge, type Judgement } from "./verdict.ts";

/** How often the evidence is judged, in ms. */
const JUDGE_MS = 500;
const STATEMENT_TIMEOUT_MS = 2_000;
/** How long a result is waited for, in ms. */
const RESPONSE_TIMEOUT_MS = 3_500;

/**
 * Starts to judge the evidence of all gateways, every {@link JUDGE_MS}, until disposal. A route that fails goes back
 * to `legacy` and stays there until a person clears it. Any number of processes may do this at once: a
 * rollback belongs to one epoch. Without PostgreSQL all routes are on `legacy` already.
 *
 * @param onRollback called for a route that this process has rolled back; others see it by polling
 */
export function startAutoRollback({ databaseUrl, log, onRollback }: {
  readonly databaseUrl: string;
  readonly log: Log;
  readonly onRollback?: (operation: LegacyOperation) => void;
}) {
  const sql = connect({
    url: databaseUrl,
    max: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    name: "lotline-gateway-guardian",
  });
  let verdicts: ReadonlyMap<LegacyOperation, Judgement> = new Map();
  let isDatabaseDown = false;

  const judgeAll = async () => {
    const found = new Map<LegacyOperation, Judgement>();
    for (const { evidence, thresholds } of await listCases(sql, RESPONSE_TIMEOUT_MS)) {
      const { operation, epoch } = evidence;
      const judgement = judge(evidence, thresholds);
      found.set(operation, judgement);
      if (judgement.verdict !== "fail") continue;
      const why = judgement.reasons.join("; ");
      // False: another process was first, or a person has moved the route meanwhile.
      if (!await rollBack(sql, { operation, epoch, why })) continue;
      log("warn", "route_rolled_back", { operation, epoch, why });
      onRollback?.(operation);
    }
    verdicts = found;
  };

  const end = new AbortController();
  const round = async () => {
    const began = performance.now();
    try {
      await judgeAll();
      if (isDatabaseDown) log("info", "verdicts_recovered");
      isDatabaseDown = false;
    } catch (error) {
      // Old judgements say nothing about the present.
      verdicts = new Map();
      if (!isDatabaseDown && !end.signal.aborted) {
        log("warn", "verdicts_failed", { error: describeError(error) });
      }
      isDatabaseDown = true;
    }
    // A long window of a busy plant takes long to read: half of the time stays for other queries.
    await delay(Math.max(JUDGE_MS, performance.now() - began), end.signal);
  };
  const running = (async () => {
    while (!end.signal.aborted) await round();
  })();

  return {
    /** The last judgement of every route that wasn't on `legacy`. */
    get verdicts() {
      return verdicts;
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await sql.end({ timeout: 1 });
      await running;
    },
  };
}
