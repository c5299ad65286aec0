import { connect } from "../../db/connect.ts";
import { isRefusedRow } from "../../db/pg_errors.ts";
import { describeError, type Log } from "../../log.ts";
import { withDeadline } from "../../timing.ts";
import type { Evidence, Finding } from "./evidence.ts";
import { fingerprintOf, type StoredMismatch, storedMismatch } from "./stored_mismatch.ts";
import { type Batch, MAX_OF_A_KIND, storeBatch } from "./evidence_table.ts";
import { createCounters } from "./counters.ts";

/** How often what was counted is stored, in ms. */
const FLUSH_MS = 500;
/** PostgreSQL works on one batch so long at most, in ms. */
const STATEMENT_TIMEOUT_MS = 2_000;
/** An answer is waited for so long, in ms; then the same batch is sent again. */
const RESPONSE_TIMEOUT_MS = 3_500;
/** When the process ends, PostgreSQL has so long for what is left, in ms. */
const LAST_FLUSH_MS = 2_000;
/** So many differences wait to be stored at most; what comes beyond is counted and not kept. */
const MAX_WAITING = 100;
/** So many kinds of differences are told apart in a day; more than a route lives to see. */
const MAX_KINDS = 2_000;

/** What a collector needs. */
export interface CollectorOptions {
  readonly databaseUrl: string;
  /** Takes out what nobody may see. A finding for which it throws is counted and not kept. */
  readonly redact: (finding: Finding) => Finding;
  readonly log: Log;
  /** Is told of what was counted and could not be kept or stored. */
  readonly onTrouble?: (trouble: CollectorTrouble) => void;
}

/** `flush`: a batch was not stored, and is sent again; `dropped`: one that never can be; `difference`: one that was counted and is not kept. */
export type CollectorTrouble = "flush" | "dropped" | "difference";

/** Gathers the evidence of one process; disposing stores what is left. */
export interface Collector extends Evidence, AsyncDisposable {
  /** Whether everything that was counted until now is stored. Never rejects. */
  flush(): Promise<boolean>;
}

/**
 * Begins to gather evidence. It is counted in memory and stored every {@link FLUSH_MS}: each count
 * once, also when PostgreSQL was away or its answer got lost; a process that is killed takes with it
 * what it hadn't stored.
 */
export function startCollector(
  { databaseUrl, redact, log, onTrouble }: CollectorOptions,
): Collector {
  const sql = connect({
    url: databaseUrl,
    max: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    name: "lotline-gateway-evidence",
  });
  const collector = crypto.randomUUID();
  const counters = createCounters();
  const kinds = dailyKinds();
  let waiting: StoredMismatch[] = [];
  /** What was sent and perhaps stored: it stays as it is until PostgreSQL has said so. */
  let sent: Batch | undefined;
  let number = 0;
  let isDatabaseAway = false;

  const nextBatch = (): Batch | undefined => {
    if (counters.size === 0 && waiting.length === 0) return undefined;
    const differences = waiting;
    waiting = [];
    return { collector, number: ++number, ...counters.take(), differences };
  };

  // What was due stays known, so that its outcomes are missed; what is refused again is given up.
  const storeDue = ({ responses, outcomes, coverage }: Batch) => {
    if (responses.length + outcomes.length === 0) return;
    for (const one of coverage) if (one.what === "due") counters.putBack(one);
  };

  const store = async (): Promise<boolean> => {
    for (;;) {
      const batch = sent ??= nextBatch();
      if (batch === undefined) return true;
      try {
        await storeBatch(sql, batch, RESPONSE_TIMEOUT_MS);
        if (isDatabaseAway) log("info", "evidence_recovered");
        isDatabaseAway = false;
        sent = undefined;
      } catch (error) {
        if (!isRefusedRow(error)) {
          onTrouble?.("flush");
          if (!isDatabaseAway) {
            log("warn", "evidence_delayed", { error: describeError(error) });
          }
          isDatabaseAway = true;
          return false;
        }
        // It would be refused for ever, and hold up everything behind it.
        log("error", "evidence_rejected", { error: describeError(error) });
        const hasDifferences = batch.differences.length > 0;
        onTrouble?.(hasDifferences ? "difference" : "dropped");
        if (!hasDifferences) storeDue(batch);
        sent = hasDifferences ? { ...batch, differences: [] } : undefined;
      }
    }
  };

  let running: Promise<boolean> | undefined;
  const flush = () => running ??= store().finally(() => running = undefined);

  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const tick = () => {
    timer = setTimeout(async () => {
      await flush();
      if (!isOver) tick();
    }, FLUSH_MS);
  };
  tick();

  return {
    responded: counters.answered,
    served: counters.served,
    covered: counters.covered,
    found(finding) {
      counters.found(finding);
      if (finding.differences.length === 0) return;
      try {
        const fingerprint = fingerprintOf(finding);
        if (!kinds.admit(fingerprint)) return;
        if (waiting.length >= MAX_WAITING) throw new Error("too many differences wait");
        waiting.push(storedMismatch(redact(finding), fingerprint, performance.now()));
      } catch (error) {
        onTrouble?.("difference");
        log("warn", "mismatch_not_redacted", { error: describeError(error) });
      }
    },
    async flush() {
      // One that is under way has begun without what was counted since.
      await running;
      return await flush();
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearTimeout(timer);
      const stored = flush().then(() => flush());
      const isStored = await withDeadline(stored, LAST_FLUSH_MS, () => false);
      if (!isStored) log("warn", "evidence_lost", { counts: counters.size });
      await sql.end({ timeout: 0 });
    },
  };
}

/** Lets some of each kind through a day, as many as are kept of it. */
function dailyKinds() {
  let day = 0;
  const seen = new Map<string, number>();
  return {
    admit(fingerprint: string): boolean {
      const today = Math.floor(Date.now() / 86_400_000);
      if (today !== day) seen.clear();
      day = today;
      const count = seen.get(fingerprint) ?? 0;
      if (count >= MAX_OF_A_KIND || (count === 0 && seen.size >= MAX_KINDS)) return false;
      seen.set(fingerprint, count + 1);
      return true;
    },
  };
}
