import type { JobDefinition } from "../jobs/define_job.ts";
import { createThreads, type Threads } from "../jobs/threads.ts";
import type { z } from "zod";
import type { TestDatabase } from "./database.ts";

/** The options of a job's attempt. */
interface AttemptOptions {
  readonly signal?: AbortSignal;
  /** Whether the attempt still holds the job at its end; another one may have taken it over. */
  readonly isMine?: boolean;
  /** The threads that it uses; unless given, new ones that are ended after it. */
  readonly threads?: Threads;
  /** Receives its progress. */
  readonly progress?: (soFar: Readonly<Record<string, number | string>>) => void;
}

/** Makes one attempt at a job, effect included, as a worker does; returns the attempt's run. */
export async function runJob<S extends z.ZodType>(
  { sql, url }: Pick<TestDatabase, "sql" | "url">,
  job: JobDefinition<S>,
  args: z.input<S>,
  { signal = new AbortController().signal, isMine = true, threads, progress = () => {} }:
    AttemptOptions = {},
): Promise<string> {
  using own = createThreads({ databaseUrl: url, name: "lotline-test-job", statementTimeoutMs: 0 });
  const run = crypto.randomUUID();
  await job.run(job.args.parse(args), {
    sql,
    onThread: (task, args) => (threads ?? own).run(task, args, { signal, progress }),
    attemptId: run,
    signal,
    progress,
    log: () => {},
    complete: async (effect) => void (isMine && await effect(sql)),
  });
  return run;
}
