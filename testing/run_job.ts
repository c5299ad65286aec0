import { keepSessions, type KeptSessions } from "../db/kept_sessions.ts";
import { openSession } from "../db/session.ts";
import type { JobDefinition } from "../jobs/define_job.ts";
import type { z } from "zod";
import type { TestDatabase } from "./database.ts";

/** How a job's attempt goes. */
export interface AttemptOptions {
  readonly signal?: AbortSignal;
  /** Whether the job is still the attempt's when it is through; another one may have taken it over. */
  readonly isMine?: boolean;
  /** Those that it uses; unless given, new ones that are closed after it. */
  readonly sessions?: KeptSessions;
  /** Is told how far it is. */
  readonly progress?: (soFar: Readonly<Record<string, number | string>>) => void;
}

/** Makes one attempt at a job, effect included, as a worker does; gives the attempt's run. */
export async function runJob<S extends z.ZodType>(
  { sql, url }: Pick<TestDatabase, "sql" | "url">,
  job: JobDefinition<S>,
  args: z.input<S>,
  { signal, isMine = true, sessions, progress = () => {} }: AttemptOptions = {},
): Promise<string> {
  await using own = keepSessions(
    (onEnd) => openSession(url, { name: "lotline-test-job", onEnd }),
    1_000,
  );
  const run = crypto.randomUUID();
  const effect = await job.run(job.args.parse(args), {
    sql,
    useSession: (sessions ?? own).use,
    run,
    signal: signal ?? new AbortController().signal,
    progress,
    log: () => {},
  });
  if (effect !== undefined) {
    await sql`with finished as (select 1 where ${isMine}), effect as (${effect()} returning 1)
      select from effect`;
  }
  return run;
}
