/**
 * `deno task parity`: what the old server said and what is said now, for whoever moves the traffic
 * and for whoever signs that it may be moved.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { ConfigError, type Environment, readParityConfig } from "../../config.ts";
import { passed, record, type Report, verify } from "../parity/verify.ts";
import { formatEvidence, formatReport } from "../parity/verify_report.ts";
import {
  formatRecordings,
  LEGACY_RECORDINGS,
  loadRecordings,
  type Recordings,
} from "../parity/recordings.ts";
import { listTablesWithOtherRows, loadSeed } from "../../dev/seed.ts";
import { connect, type Sql } from "../../db/connect.ts";
import { openSession } from "../../db/session.ts";
import { liveRulesOf, loadApprovals } from "../compare/approvals.ts";
import { type RecordingRedactor, recordRequests } from "../parity/record_requests.ts";
import { parseRequestList } from "../parity/request_list.ts";
import { formatSkipped, verifyHarmless } from "../parity/verify_safe.ts";
import { printable, sentenceOf } from "../../terminal.ts";
import { readReport } from "../report/read_report.ts";
import { resultOf } from "../report/report_data.ts";
import { writeReport } from "../report/write_report.ts";
import { recordLive } from "../record/record_live.ts";
import { createRecordingRedactor } from "../record/recording_redactor.ts";
import { createRedactor } from "../redact/redact.ts";
import type { Side } from "../exchange/route.ts";

const USAGE = `usage: deno task parity <command>

  report [--since T] [--until T] [--out FOLDER]
      the evidence of the cutover, from DATABASE_URL, as report.md, report.html and report.json in
      FOLDER ("parity-report" unless given); T is a moment such as 2026-11-25T08:00Z

  verify [FILE] [--base URL] [--no-approvals] [--markdown] [--yes-wipe-this-database]
      whether a server answers as recorded in FILE (the old server's recordings unless given).
      With DATABASE_URL, the database that it works on: everything, from known rows, so the tables
      are emptied again and again. Without, or when FILE was recorded live: only what changes nothing

  record OUT [--base URL] [--yes-wipe-this-database]
      a server's answers to the requests of the old server's recordings; needs DATABASE_URL as above
  record OUT --requests FILE [--base URL] [--allow-writes]
      its answers to the requests in FILE: recordings, or a request a line, as METHOD /path or JSON
  record OUT --live SECONDS [--per-operation N] [--side legacy|service]
      what the gateways on DATABASE_URL let clients have for so long, at most N (50) an operation

URL is the server's address; BASE is the same from the environment. Recordings of requests and live
ones have pseudonyms for personal data: what had some is not sent again by verify, but for the token
of a login, which PARITY_TOKEN stands in for. With DRY_RUN_SECRET the pseudonyms are the gateway's.

exit status: 0 it is so; 1 it is not (a wrong answer, a verdict that is fail, requests without an
answer, nothing recorded); 2 it could not be found out
`;

const LONGEST_LIVE_S = 3_600;
const MOST_PER_OPERATION = 1_000;

/** The command can't be done as it was asked for; the message says why. */
class RefusedError extends Error {
  override name = "RefusedError";
}

const OPTIONS = {
  since: { type: "string" },
  until: { type: "string" },
  out: { type: "string" },
  base: { type: "string" },
  requests: { type: "string" },
  live: { type: "string" },
  "per-operation": { type: "string" },
  side: { type: "string" },
  "allow-writes": { type: "boolean" },
  "no-approvals": { type: "boolean" },
  markdown: { type: "boolean" },
  "yes-wipe-this-database": { type: "boolean" },
} as const;

type Options = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];
type Settings = ReturnType<typeof readParityConfig>;

interface Asked {
  /** The file that the command names, if it names one. */
  readonly file: string | undefined;
  readonly options: Options;
  readonly settings: Settings;
}

interface Command {
  readonly takesFile: "must" | "may" | "not";
  /** The options that go together with this command. */
  readonly options: readonly (keyof Options)[];
  /** Gives the exit status. */
  run(asked: Asked): Promise<number>;
}

const COMMANDS: Record<string, Command> = {
  report: {
    takesFile: "not",
    options: ["since", "until", "out"],
    run: runReport,
  },
  verify: {
    takesFile: "may",
    options: ["base", "no-approvals", "markdown", "yes-wipe-this-database"],
    run: runVerify,
  },
  record: {
    takesFile: "must",
    options: ["base", "yes-wipe-this-database"],
    run: runRecord,
  },
  "record --requests": {
    takesFile: "must",
    options: ["requests", "base", "allow-writes"],
    run: runRecordRequests,
  },
  "record --live": {
    takesFile: "must",
    options: ["live", "per-operation", "side"],
    run: runRecordLive,
  },
};

if (import.meta.main) {
  try {
    Deno.exit(await run(Deno.args, Deno.env.toObject()));
  } catch (error) {
    const isSaid = error instanceof ConfigError || error instanceof RefusedError;
    console.error(isSaid ? error.message : `Not done: ${sentenceOf(error)}`);
    Deno.exit(2);
  }
}

/**
 * Does what the arguments say, and gives the exit status.
 * @throws {RefusedError} or {ConfigError} when it can't be done as it was asked for
 */
export async function run(args: string[], environment: Environment): Promise<number> {
  const asked = readWords(args);
  if (asked === undefined) {
    console.error(USAGE);
    return 2;
  }
  const settings = readParityConfig(environment);
  return await asked.command.run({ ...asked, settings });
}

/** What the arguments mean; undefined when they make no sense. */
export function readWords(
  args: string[],
): { command: Command; file: string | undefined; options: Options } | undefined {
  try {
    const { values: options, positionals: [word = "", file, ...more] } = parseArgs({
      args,
      allowPositionals: true,
      options: OPTIONS,
    });
    const variant = word === "record" ? ["requests", "live"].find((one) => one in options) : "";
    const name = variant ? `${word} --${variant}` : word;
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined || more.length > 0) return undefined;
    if (file === undefined ? command.takesFile === "must" : command.takesFile === "not") {
      return undefined;
    }
    const isTaken = (option: string) => command.options.some((one) => one === option);
    if (!Object.keys(options).every(isTaken)) return undefined;
    return { command, file, options };
  } catch {
    return undefined;
  }
}

async function runReport({ options, settings }: Asked): Promise<number> {
  const period = {
    since: momentOf("--since", options.since),
    until: momentOf("--until", options.until),
  };
  const approvals = await loadApprovals();
  await using session = openSession(databaseOf(settings), { name: "lotline-parity" });
  const data = await readReport(session.sql, period, approvals);
  const folder = options.out ?? "parity-report";
  await writeReport(folder, data);
  for (const { operation, verdict } of data.routes) {
    console.log([`${operation}: ${verdict.result}`, ...verdict.reasons].map(printable).join("; "));
  }
  console.log(`${resultOf(data)}, from ${data.since} until ${data.until}: see ${folder}`);
  return resultOf(data) === "fail" ? 1 : 0;
}

async function runVerify({ file, options, settings }: Asked): Promise<number> {
  const base = baseOf(options, settings);
  const recordings = await readFile(file ?? LEGACY_RECORDINGS, loadRecordings);
  const approvals = options["no-approvals"] ? [] : await loadApprovals();
  if (settings.DATABASE_URL === undefined || recordings.live) {
    const token = settings.PARITY_TOKEN;
    const rules = options["no-approvals"] || !recordings.live ? [] : liveRulesOf(approvals);
    const report = await verifyHarmless(
      { base, token },
      recordings,
      approvals,
      rules,
    );
    console.log(formatSkipped(report.skipped) + textOf(report, base, options));
    // Nothing was wrong, but nothing was looked at either.
    if (report.outcomes.length === 0) throw new RefusedError("Nothing in it could be sent");
    return passed(report) ? 0 : 1;
  }
  return await withWipedDatabase(settings.DATABASE_URL, options, async (sql, seed) => {
    const report = await verify({ base, sql, seed }, recordings, approvals);
    console.log(textOf(report, base, options));
    return passed(report) ? 0 : 1;
  });
}

function textOf(report: Report, base: string, { markdown }: Options): string {
  return markdown ? formatEvidence(report, base, new Date()) : formatReport(report);
}

async function runRecord({ file = "", options, settings }: Asked): Promise<number> {
  const base = baseOf(options, settings);
  const { scenarios } = await loadRecordings();
  return await withWipedDatabase(databaseOf(settings), options, async (sql, seed) => {
    await write(file, await record({ base, sql, seed }, scenarios));
    return 0;
  });
}

async function runRecordRequests({ file = "", options, settings }: Asked): Promise<number> {
  const base = baseOf(options, settings);
  const list = await readFile(options.requests ?? "", Deno.readTextFile);
  const { recordings, skipped, unanswered } = await recordRequests(
    { base, allowWrites: options["allow-writes"] ?? false, token: undefined },
    parseRequestList(list),
    redactorOf(settings),
  );
  await Deno.stdout.write(new TextEncoder().encode(formatSkipped(skipped)));
  for (const line of unanswered) console.log(`NO ANSWER ${line}`);
  if (recordings.scenarios.length === 0) {
    console.log("nothing recorded");
    return 1;
  }
  await write(file, recordings);
  return unanswered.length === 0 ? 0 : 1;
}

async function runRecordLive({ file = "", options, settings }: Asked): Promise<number> {
  const order = {
    seconds: wholeNumber("--live", options.live, LONGEST_LIVE_S),
    perOperation: wholeNumber(
      "--per-operation",
      options["per-operation"] ?? "50",
      MOST_PER_OPERATION,
    ),
    side: sideOf(options.side),
  };
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  Deno.addSignalListener("SIGINT", onSignal);
  const sql = connect({ url: databaseOf(settings), max: 1, name: "lotline-parity" });
  try {
    const recordings = await recordLive(sql, order, stop.signal);
    if (recordings === undefined) throw new RefusedError("Four recordings are on already");
    if (recordings === "nothing") {
      console.log("nothing recorded: no such requests came, or no gateway runs on this database");
      return 1;
    }
    await write(file, recordings);
    return 0;
  } finally {
    Deno.removeSignalListener("SIGINT", onSignal);
    await sql.end({ timeout: 1 });
  }
}

async function write(file: string, recordings: Recordings): Promise<void> {
  await Deno.writeTextFile(file, formatRecordings(recordings));
  console.log(`${recordings.scenarios.length} scenarios recorded in ${file}`);
}

/** Does something with a database whose tables may be emptied. */
async function withWipedDatabase(
  url: string,
  options: Options,
  use: (sql: Sql, seed: Awaited<ReturnType<typeof loadSeed>>) => Promise<number>,
): Promise<number> {
  const sql = connect({ url, max: 1, name: "lotline-parity" });
  try {
    const seed = await loadSeed();
    const foreign = await listTablesWithOtherRows(sql, seed);
    if (foreign.length > 0 && !options["yes-wipe-this-database"]) {
      throw new RefusedError(
        `This database holds rows of its own (in ${foreign.join(", ")}), and this check would ` +
          "delete them all. Name another one in DATABASE_URL, or add --yes-wipe-this-database.",
      );
    }
    return await use(sql, seed);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function baseOf({ base }: Options, { BASE }: Settings): string {
  const address = base ?? BASE;
  if (address === undefined) throw new RefusedError("Name the server: --base URL, or BASE");
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return address;
  throw new RefusedError(`${JSON.stringify(address)} is no address such as http://127.0.0.1:8000`);
}

function databaseOf({ DATABASE_URL }: Settings): string {
  if (DATABASE_URL !== undefined) return DATABASE_URL;
  throw new RefusedError("Name the database in DATABASE_URL");
}

function momentOf(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  // Without a zone it would be another moment on each machine; a day begins at midnight UTC.
  const isMoment = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const moment = new Date(isMoment ? text : NaN);
  if (!Number.isNaN(moment.getTime())) return moment.toISOString();
  throw new RefusedError(`${option} takes a day or a moment with its zone: 2026-11-25T08:00Z`);
}

function redactorOf({ DRY_RUN_SECRET }: Settings): RecordingRedactor {
  // Without the gateway's, nobody needs to know it: pseudonyms are the same within one file.
  const secret = DRY_RUN_SECRET ?? crypto.randomUUID() + crypto.randomUUID();
  return createRecordingRedactor(createRedactor(secret));
}

function sideOf(text = "legacy"): Side {
  if (text === "legacy" || text === "service") return text;
  throw new RefusedError("A side is legacy or service");
}

function wholeNumber(option: string, text = "", most: number): number {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= most) return number;
  throw new RefusedError(`${option} takes a whole number from 1 to ${most}`);
}

async function readFile<F extends string | URL, T>(
  file: F,
  read: (file: F) => Promise<T>,
): Promise<T> {
  try {
    return await read(file);
  } catch (error) {
    throw new RefusedError(`${file} can't be read: ${sentenceOf(error)}`);
  }
}
