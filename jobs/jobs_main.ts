/**
 * `deno task jobs`: background jobs, for an operator at a terminal. Only PostgreSQL is asked and told;
 * running workers notice by themselves.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { ConfigError, readSettings } from "../config.ts";
import { connect, type Sql } from "../db/connect.ts";
import {
  cancelJob,
  cancelJobs,
  findJob,
  type Job,
  type JobState,
  listJobs,
  retryJob,
} from "../db/jobs.ts";
import { printable, sentenceOf } from "../terminal.ts";
import { JobsSettings } from "./config.ts";
import { jobDetails, jobTable } from "./job_table.ts";

const STATES: readonly JobState[] = ["ready", "running", "done", "dead", "cancelled"];
const MOST_LISTED = 1_000;
/** Seconds in a unit of an age. */
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

const USAGE = `usage: DATABASE_URL=… deno task jobs <command>
  list [--state STATE] [--kind KIND] [--limit N]   the newest jobs
  dead [--kind KIND] [--limit N]                   jobs that were given up, with their error
  show ID                                          all about a job
  retry ID                                         a dead or cancelled job has all its attempts again
  cancel ID                                        a waiting job is cancelled, a running one is asked to stop
  cancel [--kind KIND] [--account ACCOUNT] [--older-than AGE]
                                                   the same for all of these; at least one is given
STATE is one of ${STATES.join(" ")}; N is at most ${MOST_LISTED}, and 50 unless it is given.
ACCOUNT is an account's id, or an address in AUTH_MODE=legacy; AGE is such as 30s, 15m, 2h or 7d.`;

/** The command can't be done as it was asked for; the message says why. */
class RefusedError extends Error {
  override name = "RefusedError";
}

interface Options {
  readonly state?: string | undefined;
  readonly kind?: string | undefined;
  readonly limit?: string | undefined;
  readonly account?: string | undefined;
  readonly "older-than"?: string | undefined;
}

interface Command {
  /** How many words it takes besides its own: an id, unless its options say which jobs it is about. */
  readonly words: number;
  readonly options: readonly (keyof Options)[];
  /** Gives what to print. */
  run(sql: Sql, id: string, options: Options): Promise<string>;
}

const COMMANDS: Record<string, Command> = {
  list: {
    words: 0,
    options: ["state", "kind", "limit"],
    async run(sql, _, { state, kind, limit }) {
      const jobs = await listJobs(sql, { state: stateOf(state), kind, limit: limitOf(limit) });
      return jobs.length === 0 ? "There are no such jobs." : jobTable(jobs);
    },
  },
  dead: {
    words: 0,
    options: ["kind", "limit"],
    async run(sql, _, { kind, limit }) {
      const jobs = await listJobs(sql, { state: "dead", kind, limit: limitOf(limit) });
      if (jobs.length === 0) return "There are no dead jobs.";
      return jobs.map((job) =>
        `${job.id}  ${
          printable(job.kind)
        }  ${job.finished_at}  after ${job.attempt} attempts, ${job.starts} starts\n` +
        `  ${printable(job.last_error ?? "")}`
      ).join("\n");
    },
  },
  show: {
    words: 1,
    options: [],
    run: async (sql, id) => jobDetails(await theJob(sql, id)),
  },
  retry: {
    words: 1,
    options: [],
    async run(sql, id) {
      const { kind } = await theJob(sql, id);
      const answer = await retryJob(sql, id);
      if (answer === "retried") return `${printable(kind)} ${id} is ready again`;
      if (answer === "unknown") throw unknown(id);
      if (answer === "twin") {
        throw new RefusedError(`The same work waits or runs already, as another job: see list`);
      }
      throw new RefusedError(`Job ${id} is ${answer}: only a dead or cancelled one is retried`);
    },
  },
  cancel: {
    words: 1,
    options: ["kind", "account", "older-than"],
    async run(sql, id, options) {
      if (id === "") {
        const counts = await cancelJobs(sql, {
          kind: options.kind,
          account: options.account,
          olderThanS: ageOf(options["older-than"]),
        });
        return `${counts.cancelled} waiting jobs are cancelled, ` +
          `${counts.stopping} that run are asked to stop`;
      }
      const { kind, state: before } = await theJob(sql, id);
      const state = await cancelJob(sql, id);
      if (state === undefined) throw unknown(id);
      if (state === "running") return `${printable(kind)} ${id} runs, and is asked to stop`;
      if (state === "cancelled" && before !== "cancelled") {
        return `${printable(kind)} ${id} is cancelled`;
      }
      throw new RefusedError(`Job ${id} is ${state} already`);
    },
  },
};

try {
  Deno.exit(await run(Deno.args));
} catch (error) {
  const isSaid = error instanceof ConfigError || error instanceof RefusedError;
  console.error(isSaid ? error.message : `Not done: ${sentenceOf(error)}`);
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}

async function run(args: string[]): Promise<number> {
  const asked = readWords(args);
  if (asked === undefined) {
    console.error(USAGE);
    return 2;
  }
  const { DATABASE_URL } = readSettings(JobsSettings, Deno.env.toObject());
  const sql = connect({ url: DATABASE_URL, max: 1, name: "lotline-jobs" });
  try {
    console.log(await asked.command.run(sql, asked.id, asked.options));
    return 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function readWords(
  args: string[],
): { command: Command; id: string; options: Options } | undefined {
  try {
    const { values, positionals: [name = "", ...words] } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        state: { type: "string" },
        kind: { type: "string" },
        limit: { type: "string" },
        account: { type: "string" },
        "older-than": { type: "string" },
      },
    });
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) return undefined;
    // One job by its id, or all that the options say.
    const isForMany = command.words > 0 && Object.keys(values).length > 0;
    if (words.length !== command.words - (isForMany ? 1 : 0)) return undefined;
    const isTaken = (option: string) => command.options.some((one) => one === option);
    if (!Object.keys(values).every(isTaken)) return undefined;
    return { command, id: words[0] ?? "", options: values };
  } catch {
    return undefined;
  }
}

async function theJob(sql: Sql, id: string): Promise<Job> {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id)) {
    throw new RefusedError(`${JSON.stringify(id)} is no id of a job`);
  }
  const job = await findJob(sql, id);
  if (job === undefined) throw unknown(id);
  return job;
}

function unknown(id: string): RefusedError {
  return new RefusedError(`There is no job ${id}`);
}

function stateOf(text: string | undefined): JobState | undefined {
  const state = STATES.find((one) => one === text);
  if (text === undefined || state !== undefined) return state;
  throw new RefusedError(`A state is one of ${STATES.join(" ")}`);
}

/** Seconds of an age such as `2h`. */
function ageOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * (UNITS[unit] ?? NaN);
  if (!Number.isNaN(seconds)) return seconds;
  throw new RefusedError("An age is a number with s, m, h or d behind it, such as 2h");
}

function limitOf(text = "50"): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MOST_LISTED) return limit;
  throw new RefusedError(`A limit is a number from 1 to ${MOST_LISTED}`);
}
