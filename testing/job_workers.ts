import { deepStrictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import type { JobPriority } from "../db/jobs.ts";
import { insertJob } from "./insert_job.ts";
import { eventually } from "./eventually.ts";
import { type LineReader, readLines } from "./lines.ts";

/** A worker with jobs that count (job_worker.ts). Disposing kills it. */
export interface JobWorker extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** Its name in the jobs' rows. */
  readonly name: string;
  /** Its log, one JSON object a line. */
  readonly log: LineReader;
  /** SIGKILL; resolves after it has ended. */
  kill(): Promise<void>;
}

/** The settings of a worker; times in ms. */
interface JobWorkerOptions {
  readonly databaseUrl: string;
  readonly valkeyUrl?: string | undefined;
  readonly leaseMs?: number;
  readonly graceMs?: number;
  readonly environment?: Record<string, string>;
}

/** Starts a worker; resolves when it is ready. */
export async function startJobWorker(options: JobWorkerOptions): Promise<JobWorker> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", new URL("job_worker.ts", import.meta.url).pathname],
    env: {
      DATABASE_URL: options.databaseUrl,
      ...(options.valkeyUrl !== undefined && { VALKEY_URL: options.valkeyUrl }),
      LEASE_MS: String(options.leaseMs ?? 1_000),
      GRACE_MS: String(options.graceMs ?? 1_000),
      ...options.environment,
    },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const log = readLines(process.stdout);
  await log.find((line) => line.includes('"event":"working"'));
  const kill = async () => {
    try {
      process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await process.status;
    await log.ended;
  };
  return {
    process,
    name: `worker ${process.pid}`,
    log,
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** Makes the table in which the jobs count: a missing row is a lost job, a 2 one done twice. */
export async function createEffects(sql: Sql): Promise<void> {
  await sql`create table effects (name text primary key, times int not null)`;
}

/** A job that counts. */
export interface CountingJob {
  readonly kind?: "count" | "stubborn";
  readonly name: string;
  readonly ms: number;
  readonly priority?: JobPriority;
}

/** Queues a counting job, and returns its id. */
export async function enqueueCount(
  sql: Sql,
  { kind = "count", name, ms, priority = 1 }: CountingJob,
): Promise<string> {
  return await insertJob(sql, { kind, args: { name, ms }, priority });
}

/** Queues this many of them, and returns their names. */
export async function enqueueCounts(sql: Sql, many: number, ms: number): Promise<string[]> {
  const names = Array.from({ length: many }, () => crypto.randomUUID());
  await Promise.all(names.map((name) => enqueueCount(sql, { name, ms })));
  return names;
}

/** Waits until all jobs are done, and checks that each of these has counted once, and no other. */
export async function allCountOnce(sql: Sql, names: readonly string[]): Promise<void> {
  await eventually("all jobs are done", async () => {
    const open = await sql`select from lotline.jobs where state in ('ready', 'running') limit 1`;
    return open.count === 0;
  });
  const states = await sql<{ state: string }[]>`select distinct state from lotline.jobs`;
  deepStrictEqual(states.map(({ state }) => state), ["done"]);
  const effects = await sql<{ name: string; times: number }[]>`
    select name, times from effects where name !~ '^(strikes|tick)'`;
  deepStrictEqual(
    effects.map(({ name, times }) => `${name}: ${times}`).sort(),
    names.map((name) => `${name}: 1`).sort(),
  );
}
