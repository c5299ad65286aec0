import { z } from "zod";
import type { Valkey } from "../cache/valkey.ts";
import { findJob, type Job, type NewJob } from "../db/jobs.ts";
import { insertJob } from "./insert_job.ts";
import type { Sql } from "../db/sql.ts";
import { defineJob, type JobContext, type JobDefinition } from "../jobs/define_job.ts";
import type { JobMetrics } from "../jobs/job_metrics.ts";
import { createThreads } from "../jobs/threads.ts";
import { runWorker, type WorkerOptions } from "../jobs/worker.ts";
import type { LogFields } from "../log.ts";
import type { TestDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";

const Args = z.strictObject({ name: z.string() });

/** Workers in this process on one database, which gets a table for the effects of their jobs. */
export async function workersInProcess(database: TestDatabase) {
  const { sql } = database;
  await sql`create table effects (name text primary key, times int not null)`;

  let kinds = 0;

  /** A kind of its own for each test, since they share a database. */
  function kindOf(
    run: (name: string, context: JobContext) => ReturnType<JobDefinition["run"]>,
    options: Partial<JobDefinition> = {},
  ) {
    return defineJob({
      kind: `kind_${kinds++}`,
      args: Args,
      maxAttempts: 3,
      timeoutMs: 10_000,
      concurrency: 2,
      ...options,
      run: ({ name }, context) => run(name, context),
    });
  }

  /** A worker in this process; disposing ends it, and waits for that. */
  function work(
    definitions: readonly JobDefinition[],
    options: Partial<WorkerOptions> & { sql?: Sql; valkey?: Valkey; metrics?: JobMetrics } = {},
  ) {
    const end = new AbortController();
    const logged: { event: string; fields: LogFields | undefined }[] = [];
    const ended = runWorker(definitions, {
      queueSql: options.sql ?? sql,
      sql,
      createThreads: (statementTimeoutMs) =>
        createThreads({ databaseUrl: database.url, name: "lotline-test", statementTimeoutMs }),
      valkey: options.valkey,
      metrics: options.metrics,
      log: (_, event, fields) => logged.push({ event, fields }),
    }, {
      name: "tester",
      maxConcurrent: 4,
      signal: end.signal,
      ...options,
    });
    return {
      logged,
      end: async () => {
        end.abort();
        await ended;
      },
      [Symbol.asyncDispose]: async () => {
        end.abort();
        await ended;
      },
    };
  }

  async function send(definition: JobDefinition, more: Partial<NewJob> = {}): Promise<string> {
    const args = { name: crypto.randomUUID() };
    return await insertJob(sql, { kind: definition.kind, args, priority: 1, ...more });
  }

  async function ends(id: string, state: Job["state"] = "done"): Promise<Job> {
    let job: Job | undefined;
    await eventually(`job ${id} is ${state}`, async () => {
      job = await findJob(sql, id);
      return job?.state === state;
    });
    if (job === undefined) throw new Error("there is no such job");
    return job;
  }

  return { kindOf, work, send, ends };
}

/** The effect of a job: the times that it happened. */
export const counted = (name: string) => (tx: Sql) =>
  tx`insert into effects (name, times) values (${name}, 1)
    on conflict (name) do update set times = effects.times + 1`;
