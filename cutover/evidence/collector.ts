import { connect } from "../../db/connect.ts";
import { isRefusedRow } from "../../db/pg_errors.ts";
import { describeError, type Log } from "../../log.ts";
import { delay, withDeadline } from "../../timing.ts";
import type { Finding } from "./evidence.ts";
import { fingerprintOf, type StoredMismatch, storedMismatch } from "./stored_mismatch.ts";
import { type Batch, MAX_OF_A_KIND, storeBatch } from "./evidence_table.ts";
import { createCounters } from "./counters.ts";

const FLUSH_MS = 500;
const STATEMENT_TIMEOUT_MS = 2_000;
/** How long a result is waited for, in ms; then the same batch is sent again. */
const RESPONSE_TIMEOUT_MS = 3_500;
/** How long the last flush of a process may take, in ms. */
const LAST_FLUSH_MS = 2_000;
/** The most differences that wait to be stored; further ones are counted and not kept. */
const MAX_WAITING = 100;
/** The most kinds of differences of a day that are kept; a route never has as many. */
const MAX_KINDS = 2_000;

/**
 * `flush`: a batch was not stored, and is sent again. `dropped`: PostgreSQL refuses a batch for good.
 * `difference`: one was counted and is not kept.
 */
export type CollectorTrouble = "flush" | "dropped" | "difference";

/**
 * Starts to collect the evidence of one process. It is counted in memory and stored every {@link FLUSH_MS}. Each count is
 * stored once, also when PostgreSQL was unavailable or its result was lost. A process that is killed
 * loses what it hadn't stored; disposing stores what is left.
 */
export function startCollector({ databaseUrl, redactor, log, onTrouble }: {
  readonly databaseUrl: string;
  readonly redactor: {
    unknown(method: string, target: string): { readonly method: string; readonly path: string };
  };
  readonly log: Log;
  /** Called for what was counted and could not be kept or stored. */
  readonly onTrouble?: (trouble: CollectorTrouble) => void;
}) {
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
  /** What was sent and perhaps stored: it doesn't change until PostgreSQL has confirmed it. */
  let sent: Batch | undefined;
  let number = 0;
  let isDatabaseDown = false;
  /** When everything that had been counted was stored, by `performance.now()`. */
  let completeAt = performance.now();

  const nextBatch = (): Batch | undefined => {
    if (counters.size === 0 && waiting.length === 0) return undefined;
    const differences = waiting;
    waiting = [];
    return { collector, number: ++number, ...counters.take(), differences };
  };

  // What was due is kept, so that its outcomes show as missing; a second refusal drops it.
  const storeDue = ({ responses, outcomes, coverage }: Batch) => {
    if (responses.length + outcomes.length === 0) return;
    for (const one of coverage) if (one.what === "due") counters.putBack(one);
  };

  const store = async (): Promise<boolean> => {
    for (;;) {
      const batch = sent ??= nextBatch();
      if (batch === undefined) {
        completeAt = performance.now();
        return true;
      }
      try {
        await storeBatch(sql, batch, RESPONSE_TIMEOUT_MS);
        if (isDatabaseDown) log("info", "evidence_recovered");
        isDatabaseDown = false;
        sent = undefined;
      } catch (error) {
        if (!isRefusedRow(error)) {
          onTrouble?.("flush");
          if (!isDatabaseDown) {
            log("warn", "evidence_delayed", { error: describeError(error) });
          }
          isDatabaseDown = true;
          return false;
        }
        // It would be refused for ever, and block everything behind it.
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

  const end = new AbortController();
  void (async () => {
    while (!end.signal.aborted) {
      await flush();
      await delay(FLUSH_MS, end.signal);
    }
  })();

  return {
    responded: counters.responded,
    served: counters.served,
    covered: counters.covered,
    unknown(method: string, target: string, status: number) {
      if (isUsed(method, status)) counters.unknown(redactor.unknown(method, target));
    },
    found(finding: Finding) {
      counters.found(finding);
      if (finding.differences.length === 0) return;
      const fingerprint = fingerprintOf(finding);
      if (!kinds.admit(fingerprint)) return;
      if (waiting.length >= MAX_WAITING) onTrouble?.("difference");
      else waiting.push(storedMismatch(finding, fingerprint, performance.now()));
    },
    /** For how long something has been waiting to be stored, in ms; 0: nothing waits. */
    get lagMs() {
      const waits = counters.size > 0 || waiting.length > 0 || sent !== undefined;
      return waits ? performance.now() - completeAt : 0;
    },
    /** Whether everything that was counted until now is stored. Never rejects. */
    async flush() {
      // One that is in flight has begun without what was counted since.
      await running;
      return await flush();
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      const stored = flush().then(() => flush());
      const isStored = await withDeadline(stored, LAST_FLUSH_MS, () => false);
      if (!isStored) log("warn", "evidence_lost", { counts: counters.size });
      await sql.end({ timeout: 0 });
    },
  };
}

/**
 * Whether a client may need a response that only the old server sends. Any server refuses what is
 * malformed or unknown, and a preflight asks for nothing by itself.
 */
function isUsed(method: string, status: number): boolean {
  return method !== "OPTIONS" && status > 0 && status < 500 && ![400, 404, 405].includes(status);
}

/** Admits as many differences of a kind in a day as are kept of it. */
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
