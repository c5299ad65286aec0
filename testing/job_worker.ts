/**
 * A worker in its own process, with kinds of job whose effects can be counted: see job_workers.ts,
 * which starts it.
 *
 * @module
 */
import { z } from "zod";
import { connectValkey } from "../cache/valkey.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { claimSlot } from "../db/cron_runs.ts";
import { defineJob } from "../jobs/define_job.ts";
import { followSchedule, type ScheduleEntry } from "../jobs/schedule.ts";
import { createThreads } from "../jobs/threads.ts";
import { runWorker } from "../jobs/worker.ts";
import { createLog } from "../log.ts";
import { delay } from "../timing.ts";

const Args = z.strictObject({ name: z.string(), ms: z.number() });

const counted = (name: string) => (tx: Sql) =>
  tx`insert into effects (name, times) values (${name}, 1)
    on conflict (name) do update set times = effects.times + 1`;

/** Takes `ms`, then counts. */
const count = defineJob({
  kind: "count",
  args: Args,
  maxAttempts: 1_000,
  timeoutMs: 60_000,
  concurrency: 8,
  async run({ name, ms }, { signal, complete }) {
    await delay(ms, signal);
    signal.throwIfAborted();
    await complete(counted(name));
  },
});

/** The same, but it ignores its signal. */
const stubborn = defineJob({
  ...count,
  kind: "stubborn",
  async run({ name, ms }, { complete }) {
    await delay(ms);
    await complete(counted(name));
  },
});

/** Counts how often each process's clock struck, and the effect once a slot. */
const tick: ScheduleEntry = {
  name: "tick",
  // Far from now, so that no slot starts while a test runs.
  at: { minute: (new Date().getUTCMinutes() + 30) % 60 },
  async enqueue(sql, slot) {
    await sql`insert into effects (name, times) values (${`strikes of ${Deno.pid}`}, 1)
      on conflict (name) do update set times = effects.times + 1`;
    await sql`with ${claimSlot(sql, slot)}
      insert into effects (name, times) select 'tick', 1 from slot
      on conflict (name) do update set times = effects.times + 1`;
  },
};

const Settings = z.object({
  DATABASE_URL: z.string(),
  VALKEY_URL: z.string().optional(),
  LEASE_MS: z.coerce.number(),
  GRACE_MS: z.coerce.number(),
});

const settings = Settings.parse(Deno.env.toObject());
const { log, flush } = createLog("debug");
const sql = connect({ url: settings.DATABASE_URL, max: 8, name: "lotline-test-worker" });
const valkey = settings.VALKEY_URL === undefined
  ? undefined
  : connectValkey(settings.VALKEY_URL, log);
const end = new AbortController();
const { signal } = end;
Deno.addSignalListener("SIGTERM", () => end.abort());
log("info", "working");
await Promise.all([
  followSchedule([tick], { sql, log, signal }),
  runWorker([count, stubborn], {
    queueSql: sql,
    sql,
    createThreads: (statementTimeoutMs) =>
      createThreads({
        databaseUrl: settings.DATABASE_URL,
        name: "lotline-test-job",
        statementTimeoutMs,
      }),
    valkey,
    log,
  }, {
    name: `worker ${Deno.pid}`,
    maxConcurrent: 8,
    leaseMs: settings.LEASE_MS,
    graceMs: settings.GRACE_MS,
    signal,
  }),
]);
await sql.end({ timeout: 1 });
valkey?.close();
flush();
Deno.exit(0);
