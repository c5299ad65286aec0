/**
 * What an audit of a large plant takes: time, and memory of the worker's process.
 *
 * @module
 */

import { join } from "node:path";
import { runAudit } from "../audit/run_audit.ts";
import { readWorkerConfig } from "../config.ts";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { openSession } from "../db/session.ts";
import { startPostgres } from "../dev/postgres.ts";
import { fillBigPlant } from "./big_plant.ts";
import { withCosts } from "./costs.ts";
import { residentMb } from "./process_cost.ts";
import type { Study } from "./study.ts";
import { markdownTable } from "./table.ts";

const LOTS = 1_000_000;
const CAMPAIGN_SIZES = [1_000, 10_000, 100_000];
const FILL_TIMEOUT_MS = 600_000;
const SAMPLE_EVERY_MS = 20;

/** One audit. */
interface Round {
  readonly seconds: number;
  /** Of this process, which does the audit as a worker does: before it, and its most. */
  readonly residentMb: { readonly before: number; readonly most: number };
  readonly found: number;
  readonly kept: number;
}

/**
 * One audit after the other on a plant of a million lots, whose weights are made up by chance: most of
 * its lots have something to be found, which is harder than a plant in order.
 */
export const AUDIT: Study = {
  name: "audit",
  async run({ rounds, folder, say }) {
    say("Starting PostgreSQL 17 and filling a plant of a million lots");
    await using server = await startPostgres({ major: 17, dataDir: join(folder, "postgres") });
    await migrate(server.url, () => {});
    const plant = await fill(server.url);
    const results: Round[] = [];
    const takenByOthers: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      say(`Audit ${round} of ${rounds}`);
      // The audit is this process's own work.
      const processes = { serverPids: [Deno.pid], databasePid: server.pid };
      const { result, costs } = await withCosts(processes, () => auditOnce(server.url));
      results.push(result);
      takenByOthers.push(costs.others / costs.all);
    }
    return {
      text: `An audit of ${plant.lots} lots and ${plant.links} links\n\n${tableOf(results)}`,
      figures: { plant, rounds: results },
      takenByOthers,
    };
  },
};

async function fill(url: string): Promise<{ lots: number; links: number }> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(
    connect({ url, max: 1, statementTimeoutMs: FILL_TIMEOUT_MS, name: "lotline-bench" }),
    (sql) => sql.end({ timeout: 1 }),
  );
  const { lots, links } = await fillBigPlant(sql, LOTS, CAMPAIGN_SIZES);
  return { lots, links };
}

async function auditOnce(url: string): Promise<Round> {
  const { AUDIT_TEMPERATURES, AUDIT_TOLERANCE_PERCENT } = readWorkerConfig({ DATABASE_URL: url });
  const id = crypto.randomUUID();
  await using session = openSession(url, { name: "lotline-bench" });
  const before = await residentMb(Deno.pid);
  let most = before;
  const sampling = setInterval(async () => {
    most = Math.max(most, await residentMb(Deno.pid));
  }, SAMPLE_EVERY_MS);
  const start = performance.now();
  const { summary, asOf } = await runAudit(session, {
    run: id,
    limits: { temperatures: AUDIT_TEMPERATURES, tolerancePercent: AUDIT_TOLERANCE_PERCENT },
    signal: new AbortController().signal,
    progress: () => {},
  });
  const seconds = (performance.now() - start) / 1_000;
  clearInterval(sampling);
  // The next one is compared with it.
  await session.sql`
    insert into lotline.audits (id, job_id, run, finished_at, as_of, summary)
    values (${id}, ${id}, ${id}, now(), ${asOf}::text::timestamptz,
      ${session.sql.json(JSON.parse(JSON.stringify(summary)))})`;
  const sum = (what: "found" | "kept") =>
    summary.findings.reduce((sum, count) => sum + count[what], 0);
  return { seconds, residentMb: { before, most }, found: sum("found"), kept: sum("kept") };
}

function tableOf(rounds: readonly Round[]): string {
  const head = ["", "s", "memory before MB", "most MB", "findings", "kept"];
  const rows = rounds.map(({ seconds, residentMb, found, kept }, index) => [
    index === 0 ? "the first" : "compared with the one before",
    seconds.toFixed(1),
    residentMb.before.toFixed(0),
    residentMb.most.toFixed(0),
    String(found),
    String(kept),
  ]);
  return markdownTable(head, rows);
}
