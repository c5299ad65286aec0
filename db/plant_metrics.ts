import { Counter, Gauge, Registry } from "prom-client";
import type { components } from "../contract/types.gen.ts";
import { isStatementTimeout } from "./pg_errors.ts";
import {
  countPlant,
  type PlantCounts,
  type PlantRecords,
  readPlantRecords,
} from "./plant_figures.ts";
import { openSession } from "./session.ts";
import type { Sql } from "./sql.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";

type LotType = components["schemas"]["LotType"];
type Decision = components["schemas"]["QcVerdict"];

/** Objects, so that the compiler misses a value that the contract gets. */
const LOT_TYPES: Readonly<Record<LotType, true>> = {
  RAW: true,
  DEB: true,
  BULK: true,
  MIX: true,
  SKW: true,
  FRZ: true,
  FG: true,
};
const DECISIONS: Readonly<Record<Decision, true>> = { PASS: true, HOLD: true, FAIL: true };
const NAMES = { lotTypes: Object.keys(LOT_TYPES), decisions: Object.keys(DECISIONS) };

const RECORDS_EVERY_MS = 60_000;
const RECORDS_TIMEOUT_MS = 5_000;
/** The least time between two counts, in ms. See docs/metrics.md for what it takes. */
const COUNT_EVERY_MS = 300_000;
const COUNT_TIMEOUT_MS = 20_000;
/** A count is a hundredth of the time at most, whatever a plant's size is. */
const PAUSE_TO_COUNT = 100;
const AFTER_FAILURE_MS = 60_000;

interface Deps {
  readonly databaseUrl: string;
  /** The entries of the schedule that are shown. */
  readonly schedule: readonly string[];
  /** Returns ms since any moment. */
  readonly now?: () => number;
}

/**
 * What a worker tells of the plant, in two parts: what has last been done, read once a minute, and the
 * counts, every five minutes or less often. Both are read when a scraper asks, over a connection of
 * their own that is closed again; a later scraper gets the last reading at once, while the next one is
 * under way.
 */
export function plantMetrics(
  { databaseUrl, schedule, now = () => performance.now() }: Deps,
): MetricsSource[] {
  const reading = async (read: (sql: Sql) => Promise<string>, statementTimeoutMs: number) => {
    await using session = openSession(databaseUrl, {
      name: "lotline-metrics",
      statementTimeoutMs,
      lockTimeoutMs: RECORDS_TIMEOUT_MS,
    });
    return await read(session.sql);
  };
  const records = async (sql: Sql) => await describeRecords(await readPlantRecords(sql), schedule);
  const counts = async (sql: Sql) => {
    // Processors are for those who wait.
    await sql`set max_parallel_workers_per_gather = 0`;
    return await describeCounts(await countPlant(sql, NAMES));
  };
  return [
    {
      name: "records",
      text: keepReading(() => reading(records, RECORDS_TIMEOUT_MS), RECORDS_EVERY_MS, now),
    },
    {
      name: "plant",
      text: keepReading(() => reading(counts, COUNT_TIMEOUT_MS), COUNT_EVERY_MS, now),
    },
  ];
}

/**
 * Returns the last reading; the first one, and the first after a failure, is waited for. A reading
 * that is due begins meanwhile, one at a time.
 */
function keepReading(
  read: () => Promise<string>,
  everyMs: number,
  now: () => number,
): () => Promise<string> {
  let shown: string | undefined;
  let failure: unknown;
  let running: Promise<string> | undefined;
  let dueAt = -Infinity;
  const begin = async (): Promise<string> => {
    const began = now();
    const pauseMs = () => Math.max(everyMs, (now() - began) * PAUSE_TO_COUNT);
    try {
      shown = await read();
      dueAt = now() + pauseMs();
      return shown;
    } catch (error) {
      // What is no longer known isn't shown.
      [shown, failure] = [undefined, error];
      dueAt = now() + (isStatementTimeout(error) ? pauseMs() : AFTER_FAILURE_MS);
      throw error;
    } finally {
      running = undefined;
    }
  };
  return async () => {
    if (running === undefined && now() >= dueAt) {
      running = begin();
      // It is thrown to the next scraper when nobody waits for it.
      running.catch(() => {});
    }
    if (shown !== undefined) return shown;
    if (running !== undefined) return await running;
    throw failure;
  };
}

function describeRecords(records: PlantRecords, schedule: readonly string[]): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, value: number | null) => {
    // Without a value the series is missing, and its help is there.
    const shown = new Gauge({ name: `lotline_${name}`, help, registers });
    if (value === null) shown.remove();
    else shown.set(value);
  };
  const { auditedAt, backedUpAt, archives, archivedAt, archiveFailures, slots, bytes } = records;
  gauge("audit_last_run_timestamp_seconds", "When the newest whole audit ended.", auditedAt);
  const findings = new Gauge({
    name: "lotline_audit_findings",
    help: "Findings of the newest whole audit.",
    labelNames: ["check"],
    registers,
  });
  for (const [check, found] of Object.entries(records.findings)) findings.set({ check }, found);
  gauge("backup_last_timestamp_seconds", "When the last backup that was noted ended.", backedUpAt);
  const archived = "When PostgreSQL last archived a file of its log.";
  gauge("wal_archive_last_timestamp_seconds", archived, archives ? archivedAt : null);
  const failures = new Counter({
    name: "lotline_wal_archive_failures_total",
    help: "Failures to archive a file of PostgreSQL's log, as PostgreSQL counts them.",
    registers,
  });
  if (archives) failures.inc(archiveFailures);
  else failures.remove();
  const runs = new Gauge({
    name: "lotline_schedule_last_run_timestamp_seconds",
    help: "When the last work that the schedule has put into the queue was due.",
    labelNames: ["task"],
    registers,
  });
  for (const task of schedule) {
    const at = slots[task];
    if (at !== undefined) runs.set({ task }, at);
  }
  gauge("database_bytes", "Size of the database on disk.", bytes);
  return registry.metrics();
}

function describeCounts({ lots, decisions }: PlantCounts): Promise<string> {
  const registry = new Registry();
  const gauge = (
    name: string,
    help: string,
    label: string,
    counts: Readonly<Record<string, number>>,
  ) => {
    const shown = new Gauge({
      name: `lotline_${name}`,
      help,
      labelNames: [label],
      registers: [registry],
    });
    for (const [value, count] of Object.entries(counts)) shown.set({ [label]: value }, count);
  };
  const none = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 0]));
  gauge("lots", "Lots by type; none has no type, other an unknown one.", "lot_type", {
    ...none(NAMES.lotTypes),
    ...lots,
  });
  const help = "QC decisions by outcome; none has no outcome, other an unknown one.";
  gauge("qc_decisions", help, "decision", { ...none(NAMES.decisions), ...decisions });
  new Gauge({
    name: "lotline_plant_counted_timestamp_seconds",
    help: "When lots and QC decisions were last counted.",
    registers: [registry],
  }).set(Date.now() / 1_000);
  return registry.metrics();
}
