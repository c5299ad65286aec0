/**
 * `deno task jobs`: background jobs, for an operator at a terminal. It uses PostgreSQL only; running
 * workers see the changes there.
 *
 * @module
 */

import {
  type CommandForm,
  parseWhole,
  type Program,
  readCommand,
  RefusedError,
  runMain,
  textOption,
  type Typed,
  UsageError,
  usageOf,
} from "../command_line.ts";
import { readSettings } from "../config.ts";
import { JobsSettings } from "./config.ts";
import { connect } from "../db/connect.ts";
import { type DirectAddress, directAddress } from "../db/direct_address.ts";
import type { Sql } from "../db/sql.ts";
import {
  cancelJob,
  cancelJobs,
  findJob,
  type Job,
  type JobState,
  listJobs,
  retryDeadJobs,
  retryJob,
} from "../db/jobs.ts";
import { columns, printable } from "../terminal.ts";

const STATES: readonly JobState[] = ["ready", "running", "done", "dead", "cancelled"];
const MAX_LISTED = 1_000;
/** Seconds in a unit of an age. */
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

interface Command extends CommandForm {
  /** Returns the text to print. */
  run(sql: Sql, typed: Typed): Promise<string>;
}

const TEXT = { type: "string" } as const;

const PROGRAM: Program<Command> = {
  start: "DATABASE_URL=… deno task jobs",
  commands: {
    list: {
      usage: "[--state STATE] [--kind KIND] [--limit N]",
      does: "the newest jobs",
      options: { state: TEXT, kind: TEXT, limit: TEXT },
      async run(sql, typed) {
        const jobs = await listJobs(sql, {
          state: stateOf(textOption(typed, "state")),
          kind: textOption(typed, "kind"),
          limit: limitOf(textOption(typed, "limit")),
        });
        return jobs.length === 0 ? "There are no such jobs." : jobTable(jobs);
      },
    },
    dead: {
      usage: "[--kind KIND] [--limit N]",
      does: "jobs that were given up, with their error",
      options: { kind: TEXT, limit: TEXT },
      async run(sql, typed) {
        const kind = textOption(typed, "kind");
        const limit = limitOf(textOption(typed, "limit"));
        const jobs = await listJobs(sql, { state: "dead", kind, limit });
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
      usage: "ID",
      does: "all about a job",
      words: [1, 1],
      run: async (sql, { words: [id = ""] }) => jobDetails(await theJob(sql, id)),
    },
    retry: {
      usage: "ID | --kind KIND",
      does: "a dead or cancelled job has all its attempts again; or all dead ones of a kind",
      words: [0, 1],
      options: { kind: TEXT },
      async run(sql, typed) {
        const { words: [id] } = typed;
        const ofKind = textOption(typed, "kind");
        if ((id === undefined) === (ofKind === undefined)) throw new UsageError();
        if (ofKind !== undefined) {
          const { retried, twins } = await retryDeadJobs(sql, ofKind);
          return `${retried} dead jobs are ready again, ${twins} stay dead: ` +
            "the same work waits or runs already";
        }
        if (id === undefined) throw new UsageError();
        const { kind } = await theJob(sql, id);
        const result = await retryJob(sql, id);
        if (result === "retried") return `${printable(kind)} ${id} is ready again`;
        if (result === "unknown") throw unknown(id);
        if (result === "twin") {
          throw new RefusedError(`The same work waits or runs already, as another job: see list`);
        }
        throw new RefusedError(`Job ${id} is ${result}: only a dead or cancelled one is retried`);
      },
    },
    cancel: {
      usage: "ID | [--kind KIND] [--account ACCOUNT] [--older-than AGE]",
      does:
        "a waiting job is cancelled, a running one is asked to stop; or all of these, of which " +
        "at least one is given",
      words: [0, 1],
      options: { kind: TEXT, account: TEXT, "older-than": TEXT },
      async run(sql, typed) {
        const { words: [id], options } = typed;
        if ((id === undefined) === (Object.keys(options).length === 0)) throw new UsageError();
        if (id !== undefined) return await cancelOne(sql, id);
        const { cancelled, stopping } = await cancelJobs(sql, {
          kind: textOption(typed, "kind"),
          account: textOption(typed, "account"),
          olderThanS: ageOf(textOption(typed, "older-than")),
        });
        return `${cancelled} waiting jobs are cancelled, ${stopping} that run are asked to stop`;
      },
    },
  },
  notes: `STATE is one of ${
    STATES.join(" ")
  }; N is at most ${MAX_LISTED}, and 50 unless it is given.
ACCOUNT is an account's id, or an address in AUTH_MODE=legacy; AGE is such as 30s, 15m, 2h or 7d.`,
};

let address: DirectAddress | undefined;
await runMain({
  task: "jobs",
  usage: usageOf(PROGRAM),
  settings: [JobsSettings],
  exit: "0 done; 1 refused or failed; 2 wrong usage or settings",
  setting: () => address?.setting,
}, async () => {
  const { command, typed } = readCommand(PROGRAM, Deno.args);
  address = directAddress(readSettings(JobsSettings, Deno.env.toObject()));
  const sql = connect({ url: address.url, max: 1, name: "lotline-jobs" });
  try {
    console.log(await command.run(sql, typed));
  } finally {
    await sql.end({ timeout: 1 });
  }
});

async function cancelOne(sql: Sql, id: string): Promise<string> {
  const { kind, state: before } = await theJob(sql, id);
  const state = await cancelJob(sql, id);
  if (state === undefined) throw unknown(id);
  if (state === "running") return `${printable(kind)} ${id} runs, and is asked to stop`;
  if (state === "cancelled" && before !== "cancelled") {
    return `${printable(kind)} ${id} is cancelled`;
  }
  throw new RefusedError(`Job ${id} is ${state} already`);
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
  const limit = parseWhole(text, [1, MAX_LISTED]);
  if (limit !== undefined) return limit;
  throw new RefusedError(`A limit is a number from 1 to ${MAX_LISTED}`);
}

function jobTable(jobs: readonly Job[]): string {
  return columns(
    ["id", "kind", "state", "attempt", "starts", "created", "progress"],
    jobs.map((job) => [
      job.id,
      job.kind,
      job.cancel_requested && job.state === "running" ? "stopping" : job.state,
      String(job.attempt),
      String(job.starts),
      job.created_at,
      textOf(job.progress),
    ]),
  );
}

function jobDetails(job: Job): string {
  const width = Math.max(...Object.keys(job).map((name) => name.length));
  return Object.entries(job).map(([name, value]) =>
    `${name.padEnd(width)}  ${printable(textOf(value))}`.trimEnd()
  ).join("\n");
}

function textOf(value: unknown): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
