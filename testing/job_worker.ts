/**
 * A worker as a process of its own, with kinds of job whose effects can be counted: each adds one to
 * its row in `effects`, so a job that is lost shows as a row that is missing, and one whose effect
 * happened twice as a 2.
 *
 * @module
 */
import { connectValkey } from "../cache/valkey.ts";
import { z } from "zod";
import { connect } from "../db/connect.ts";
import { openSession } from "../db/session.ts";
import { defineJob } from "../jobs/define_job.ts";
import { pause } from "../jobs/repeat.ts";
import { runWorker } from "../jobs/worker.ts";
import { createLog } from "../log.ts";

/** Takes `ms`, then counts. `stubborn`: it doesn't heed its signal. */
const count = defineJob({
  kind: "count",
  args: z.strictObject({ name: z.string(), ms: z.number() }),
  maxAttempts: 1_000,
  timeoutMs: 60_000,
  concurrency: 8,
  async run({ name, ms }, { sql, signal }) {
    await pause(ms, signal);
    signal.throwIfAborted();
    return () =>
      sql`insert into effects (name, times) select ${name}, 1 from finished
        on conflict (name) do update set times = effects.times + 1`;
  },
});

/** Waits through everything, a stop of its process included, and counts then. */
const stubborn = defineJob({
  ...count,
  kind: "stubborn",
  async run({ name, ms }, { sql }) {
    await pause(ms);
    return () =>
      sql`insert into effects (name, times) select ${name}, 1 from finished
        on conflict (name) do update set times = effects.times + 1`;
  },
});

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
Deno.addSignalListener("SIGTERM", () => end.abort());
log("info", "working", { pid: Deno.pid });
await runWorker([count, stubborn], {
  queueSql: sql,
  sql,
  openSession: (statementTimeoutMs) =>
    openSession(settings.DATABASE_URL, { name: "lotline-test-job", statementTimeoutMs }),
  valkey,
  log,
}, {
  name: `test-${Deno.pid}`,
  atOnce: 8,
  leaseMs: settings.LEASE_MS,
  graceMs: settings.GRACE_MS,
  signal: end.signal,
});
await sql.end({ timeout: 1 });
valkey?.close();
flush();
Deno.exit(0);
