import { createClient } from "redis";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import type { JobPriority } from "../db/jobs.ts";
import { migrate } from "../db/migrate.ts";
import { Random } from "../dev/random.ts";
import { eventually } from "../testing/eventually.ts";
import {
  allCountOnce,
  type CountingJob,
  createEffects,
  enqueueCount,
  type JobWorker,
  startJobWorker,
} from "../testing/job_workers.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { delay } from "../timing.ts";

/** The faults that workers may meet. */
export const FAULTS = [
  "kill a worker",
  "end a worker",
  "stop a worker past its lease",
  "empty Valkey",
  "kill Valkey for some seconds",
  "silence Valkey for some seconds",
  "kill PostgreSQL",
  "restart PostgreSQL",
] as const;

/** One of {@link FAULTS}. */
export type Fault = typeof FAULTS[number];

/** Duration and intensity; the same seed makes the same faults and jobs. */
export interface ChaosOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: readonly [Fault, ...Fault[]];
  /** From one fault to the next. */
  readonly everyMs: number;
  readonly report: (line: string) => void;
}

/** The results of a run. */
export interface ChaosResult {
  readonly jobs: number;
  readonly faults: number;
  /** Jobs that were started more than once. */
  readonly restarted: number;
  /** The longest time until a killed worker's jobs were rescued, in ms. */
  readonly slowestRescueMs: number;
}

const WORKERS = 3;
const LEASE_MS = 1_000;
/**
 * How long after its lease a lost job may be rescued, in ms: the reaper's interval, and some load.
 */
const RESCUE_SLACK_MS = 1_500;

/**
 * Lets jobs run while the given faults happen, one at a time, and then waits for the remaining
 * jobs.
 *
 * @throws AssertionError when a job is lost or counts twice, or isn't rescued in time
 */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seconds, faults, everyMs, report } = options;
  // One for each of the two concurrent loops; with a shared one the seed would determine nothing.
  const [random, randomJobs] = [new Random(options.seed), new Random(~options.seed)];
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await ownPostgres()).server;
  const valkey = stack.use(await ownValkey()).server;
  await migrate(postgres.url, () => {});
  const sql = stack.adopt(connect({ url: postgres.url, max: 4 }), (sql) => sql.end({ timeout: 1 }));
  await createEffects(sql);
  const start = () =>
    startJobWorker({ databaseUrl: postgres.url, valkeyUrl: valkey.url, leaseMs: LEASE_MS });
  const workers = await Promise.all(Array.from({ length: WORKERS }, start));
  stack.defer(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
  });

  const rescues: Promise<number>[] = [];
  /** Kills a worker, starts another one in its place, and checks that its jobs are rescued. */
  const replace = async (at: number, end: (worker: JobWorker) => Promise<void>) => {
    const [victim, successor] = [workers[at], start()];
    if (victim === undefined) throw new Error(`there is no worker ${at}`);
    await end(victim);
    const rescue = rescueOf(sql, victim.name);
    // Its failure is thrown in the end, when all of them are awaited.
    rescue.catch(() => {});
    rescues.push(rescue);
    workers[at] = await successor;
  };
  const happen: Record<Fault, () => Promise<void>> = {
    "kill a worker": () => replace(random.below(WORKERS), (worker) => worker.kill()),
    "end a worker": () =>
      replace(random.below(WORKERS), async ({ process }) => {
        process.kill("SIGTERM");
        await process.status;
      }),
    "stop a worker past its lease": async () => {
      const worker = workers[random.below(WORKERS)];
      worker?.process.kill("SIGSTOP");
      await delay(LEASE_MS * random.between(1.2, 2.5));
      worker?.process.kill("SIGCONT");
    },
    "empty Valkey": async () => {
      const client = await createClient({ url: valkey.url }).connect();
      await client.flushAll();
      client.destroy();
    },
    "kill Valkey for some seconds": async () => {
      await valkey.kill();
      await delay(random.between(500, 3_000));
      await valkey.start();
    },
    "silence Valkey for some seconds": async () => {
      valkey.pause();
      await delay(random.between(300, 5_000));
      valkey.resume();
    },
    "kill PostgreSQL": async () => {
      await postgres.kill();
      await delay(random.between(0, 1_000));
      await postgres.start();
    },
    "restart PostgreSQL": () => postgres.restart(),
  };

  const names: string[] = [];
  const isOver = new AbortController();
  const sending = (async () => {
    while (!isOver.signal.aborted) {
      const name = randomJobs.uuid();
      const job: CountingJob = {
        name,
        ms: randomJobs.between(0, 400),
        priority: randomJobs.pick<JobPriority>([0, 1]),
        kind: randomJobs.pick<"count" | "stubborn">(["count", "stubborn"]),
      };
      // While PostgreSQL is unavailable no job was acknowledged; it may be stored anyway.
      const isStored = await enqueueCount(sql, job).then(() => true, () => isThere(sql, name));
      if (isStored) names.push(name);
      await delay(randomJobs.between(0, 60));
    }
  })();

  let count = 0;
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; count++) {
    await delay(everyMs);
    const fault = random.pick(faults);
    report(fault);
    await happen[fault]();
  }
  isOver.abort();
  await sending;
  const slowestRescueMs = Math.max(0, ...await Promise.all(rescues));
  await allCountOnce(sql, names);
  const [row] = await sql<{ restarted: number }[]>`
    select count(*)::int as restarted from lotline.jobs where attempt > 1`;
  return { jobs: names.length, faults: count, restarted: row?.restarted ?? 0, slowestRescueMs };
}

/** Waits until no job belongs to a lost worker; returns how many ms that took. */
async function rescueOf(sql: Sql, worker: string): Promise<number> {
  const since = performance.now();
  let away = 0;
  for (;;) {
    const requested = performance.now();
    const held = await sql`
      select from lotline.jobs where state = 'running' and worker = ${worker}`.catch(() =>
      undefined
    );
    // Time without PostgreSQL doesn't count.
    if (held === undefined) away += performance.now() - requested + 20;
    if (held?.count === 0) return performance.now() - since;
    if (performance.now() - since - away > LEASE_MS + RESCUE_SLACK_MS) {
      throw new Error(`${worker}'s jobs were not rescued in time`);
    }
    await delay(20);
  }
}

async function isThere(sql: Sql, name: string): Promise<boolean> {
  let isThere = false;
  await eventually("PostgreSQL is back", async () => {
    try {
      const found = await sql`select from lotline.jobs where arguments ->> 'name' = ${name}`;
      isThere = found.count > 0;
      return true;
    } catch {
      return false;
    }
  });
  return isThere;
}
