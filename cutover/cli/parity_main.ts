/**
 * `deno task parity`: compares the responses of the old server and of Lotline. The engineer of the
 * cutover uses it, and the person who signs that the traffic may move.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import {
  type CommandForm,
  type Program,
  readCommand,
  RefusedError,
  runMain,
  textOption,
  type Typed,
  usageOf,
} from "../../command_line.ts";
import { type Environment, readSettings } from "../../config.ts";
import { readBuild } from "../build.ts";
import { type ParityConfig, ParitySettings } from "../config.ts";
import {
  formatSkipped,
  passed,
  record,
  type Report,
  verify,
  verifySafe,
} from "../parity/verify.ts";
import { formatEvidence, formatReport } from "../report/verify_report.ts";
import {
  formatRecordings,
  LEGACY_RECORDINGS,
  loadRecordings,
  type Recordings,
} from "../parity/recordings.ts";
import { listTablesWithOtherRows, loadSeed } from "../../dev/seed.ts";
import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { type DirectAddress, directAddress } from "../../db/direct_address.ts";
import { openSession } from "../../db/session.ts";
import { findZones, TimeZoneError } from "../../db/time_zone_sources.ts";
import { liveRulesOf, loadApprovals } from "../compare/approvals.ts";
import { recordingRedactor, recordRequests } from "../parity/record_requests.ts";
import { inZone, zoneWarning } from "../parity/recorded_zone.ts";
import { parseRequestList } from "../parity/request_list.ts";
import { printable, sentenceOf } from "../../terminal.ts";
import { answerOf, reasonsOf } from "../report/overview.ts";
import { readReport } from "../report/read_report.ts";
import { toHtml } from "../report/html.ts";
import { toMarkdown } from "../report/markdown.ts";
import { documentOf, TITLE, toJson } from "../report/report_document.ts";
import { recordLive } from "../record/recordings_table.ts";
import { createRedactor } from "../redact/redact.ts";
import type { Upstream } from "../exchange/route.ts";
import { wholeNumber } from "./command.ts";

const MAX_LIVE_S = 3_600;
const MAX_PER_OPERATION = 1_000;
const MAX_LABEL = 200;

interface Command extends CommandForm {
  /** Resolves with the exit status. */
  run(typed: Typed, settings: ParityConfig): Promise<number>;
}

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;

const PROGRAM: Program<Command> = {
  start: "deno task parity",
  commands: {
    report: {
      usage: "[--since T] [--until T] [--old-server NAME] [--out FOLDER]",
      does: `writes the evidence of the cutover, from DATABASE_DIRECT_URL or else DATABASE_URL, as
      report.md, report.html and report.json into FOLDER ("parity-report" unless given). It leads with
      whether the old server can be retired. T is such as 2026-11-25T08:00Z. NAME says which old
      server it was, such as "Express 4.18, build of 2019-03-01"`,
      options: { since: TEXT, until: TEXT, "old-server": TEXT, out: TEXT },
      run: runReport,
    },
    verify: {
      usage: "[FILE] [--base URL] [--no-approvals] [--markdown] [--yes-wipe-this-database]",
      does:
        `checks a server's responses against those recorded in FILE (the old server's unless given).
      With DATABASE_URL, the server's own database, it sends every request from known rows, and
      empties the tables again and again. Without, or with a FILE that was recorded live, it sends
      only requests that change nothing`,
      words: [0, 1],
      options: { base: TEXT, "no-approvals": FLAG, markdown: FLAG, "yes-wipe-this-database": FLAG },
      run: runVerify,
    },
    record: {
      usage: "OUT [--base URL] [--yes-wipe-this-database]",
      does: `records a server's responses to the requests of the old server's recordings; needs
      DATABASE_URL as above`,
      words: [1, 1],
      options: { base: TEXT, "yes-wipe-this-database": FLAG },
      run: runRecord,
    },
    "record --requests": {
      usage: "OUT --requests FILE [--base URL] [--allow-writes]",
      does:
        "records its responses to the requests in FILE: recordings, or a request a line, as METHOD " +
        "/path or JSON",
      words: [1, 1],
      options: { requests: TEXT, base: TEXT, "allow-writes": FLAG },
      run: runRecordRequests,
    },
    "record --live": {
      usage: "OUT --live SECONDS [--per-operation N] [--side legacy|service]",
      does:
        "records requests and responses of the gateways on DATABASE_URL for SECONDS, at most N (50) " +
        "an operation",
      words: [1, 1],
      options: { live: TEXT, "per-operation": TEXT, side: TEXT },
      run: runRecordLive,
    },
  },
  notes: `
URL is the server's address; BASE is the same from the environment. Recordings of requests and live
ones have pseudonyms for personal data, and verify skips such requests. The token of a login is the
exception: verify sends PARITY_TOKEN in its place. With DRY_RUN_SECRET the pseudonyms are the gateway's.
TIME_ZONE, or else DATABASE_URL, says in which time zone the server reads times without an offset. It is
written into recordings, and verify warns of another.

Exit status: 0 passed, or ready; 1 failed (a wrong response, a request without a response, nothing
recorded) or not ready; 2 the check could not be made`,
};

/** Where evidence and exchanges are read, once it is known. */
let evidence: DirectAddress | undefined;

if (import.meta.main) {
  await runMain(
    {
      usage: usageOf(PROGRAM),
      told: [TimeZoneError],
      failed: 2,
      setting: () => evidence?.setting,
    },
    () => run(Deno.args, Deno.env.toObject()),
  );
}

/**
 * Runs the command and resolves with the exit status.
 * @throws {UsageError}, {RefusedError} or {ConfigError} when it can't be done
 */
export async function run(args: string[], environment: Environment): Promise<number> {
  const { command, typed } = readCommand(PROGRAM, args);
  return await command.run(typed, readSettings(ParitySettings, environment));
}

async function runReport(typed: Typed, settings: ParityConfig): Promise<number> {
  const requested = {
    since: momentOf(typed, "since"),
    until: momentOf(typed, "until"),
    oldServer: labelOf(typed, "old-server"),
    build: await readBuild(settings.LOTLINE_COMMIT),
    // The result alone goes to the standard output.
    print: (line: string) => console.error(line),
  };
  const approvals = await loadApprovals();
  await using session = openSession(evidenceOf(settings), { name: "lotline-parity" });
  const data = await readReport(session.sql, requested, approvals);
  const folder = textOption(typed, "out") ?? "parity-report";
  const blocks = documentOf(data);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "report.json"), toJson(data));
  await Deno.writeTextFile(join(folder, "report.md"), toMarkdown(blocks));
  await Deno.writeTextFile(join(folder, "report.html"), toHtml(TITLE, blocks));
  console.log(`Ready to retire the old server: ${answerOf(data)}${data.ready ? "" : ", because"}`);
  for (const reason of reasonsOf(data)) console.log(printable(`- ${reason}`));
  console.log(`From ${data.since} until ${data.until}: see ${folder}`);
  return data.ready ? 0 : 1;
}

async function runVerify(typed: Typed, settings: ParityConfig): Promise<number> {
  const { words: [file = LEGACY_RECORDINGS], options } = typed;
  const base = baseOf(typed, settings);
  const recordings = await loadRecordings(file).catch((error) => unreadable(file, error));
  const approvals = options["no-approvals"] ? [] : await loadApprovals();
  const printReport = (report: Report, skipped = "") => {
    const isPage = options.markdown === true;
    const text = isPage ? formatEvidence(report, base, new Date()) : formatReport(report);
    console.log(skipped + text);
    return passed(report) ? 0 : 1;
  };
  const warning = zoneWarning(recordings, await zoneOf(settings));
  if (warning !== undefined) console.error(warning);
  if (settings.DATABASE_URL === undefined || recordings.live) {
    const rules = recordings.live ? liveRulesOf(approvals) : [];
    const to = { base, token: settings.PARITY_TOKEN, redactor: redactorOf(settings) };
    const report = await verifySafe(to, recordings, approvals, rules);
    const status = printReport(report, formatSkipped(report.skipped));
    // Nothing was wrong, but nothing was checked either.
    if (report.outcomes.length === 0) throw new RefusedError("Nothing in it could be sent");
    return status;
  }
  return await withWipedDatabase(settings.DATABASE_URL, typed, async (sql, seed) => {
    return printReport(await verify({ base, sql, seed }, recordings, approvals));
  });
}

async function runRecord(typed: Typed, settings: ParityConfig): Promise<number> {
  const [file = ""] = typed.words;
  const base = baseOf(typed, settings);
  const zone = await zoneOf(settings);
  const { scenarios } = await loadRecordings();
  return await withWipedDatabase(databaseOf(settings), typed, async (sql, seed) => {
    await write(file, inZone(await record({ base, sql, seed }, scenarios), zone));
    return 0;
  });
}

async function runRecordRequests(typed: Typed, settings: ParityConfig): Promise<number> {
  const [file = ""] = typed.words;
  const base = baseOf(typed, settings);
  const from = textOption(typed, "requests") ?? "";
  const list = await Deno.readTextFile(from).catch((error) => unreadable(from, error));
  const zone = await zoneOf(settings);
  const { recordings, skipped, unanswered } = await recordRequests(
    { base, allowWrites: typed.options["allow-writes"] === true, token: undefined },
    parseRequestList(list),
    recordingRedactor(redactorOf(settings)),
  );
  await Deno.stdout.write(new TextEncoder().encode(formatSkipped(skipped)));
  for (const line of unanswered) console.log(`NO RESPONSE ${line}`);
  if (recordings.scenarios.length === 0) {
    console.log("nothing recorded");
    return 1;
  }
  await write(file, inZone(recordings, zone));
  return unanswered.length === 0 ? 0 : 1;
}

async function runRecordLive(typed: Typed, settings: ParityConfig): Promise<number> {
  const [file = ""] = typed.words;
  const { "per-operation": each = "50" } = typed.options;
  const order = {
    seconds: wholeNumber("--live", typed.options.live, [1, MAX_LIVE_S]),
    perOperation: wholeNumber("--per-operation", each, [1, MAX_PER_OPERATION]),
    side: upstreamOf(textOption(typed, "side")),
  };
  const databaseUrl = evidenceOf(settings);
  const zone = await zoneOf(settings);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  Deno.addSignalListener("SIGINT", onSignal);
  const sql = connect({ url: databaseUrl, max: 1, name: "lotline-parity" });
  try {
    const recordings = await recordLive(sql, order, stop.signal);
    if (recordings === undefined) {
      console.log(
        "nothing recorded: no client sent a request, or no gateway runs on this database",
      );
      return 1;
    }
    await write(file, inZone(recordings, zone));
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

/** Runs `use` on a database whose tables may be emptied. */
async function withWipedDatabase(
  url: string,
  { options }: Typed,
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

function baseOf(typed: Typed, { BASE }: ParityConfig): string {
  const address = textOption(typed, "base") ?? BASE;
  if (address === undefined) throw new RefusedError("Name the server: --base URL, or BASE");
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return address;
  throw new RefusedError(`${JSON.stringify(address)} is no address such as http://127.0.0.1:8000`);
}

function databaseOf({ DATABASE_URL }: ParityConfig): string {
  if (DATABASE_URL !== undefined) return DATABASE_URL;
  throw new RefusedError("Name the database in DATABASE_URL");
}

/**
 * For commands that only read. What empties tables uses DATABASE_URL alone: the other address may be
 * left from another environment.
 */
function evidenceOf(settings: ParityConfig): string {
  evidence = directAddress({ ...settings, DATABASE_URL: databaseOf(settings) });
  return evidence.url;
}

/** The zone in which the server reads times without an offset, if a setting or its database says it. */
async function zoneOf({ DATABASE_URL, TIME_ZONE }: ParityConfig): Promise<string | undefined> {
  if (DATABASE_URL === undefined) return TIME_ZONE;
  try {
    return (await findZones(DATABASE_URL, TIME_ZONE)).zone;
  } catch (error) {
    if (error instanceof TimeZoneError) throw error;
    return TIME_ZONE;
  }
}

function momentOf({ options }: Typed, name: "since" | "until"): string | undefined {
  // Without a zone the moment would depend on the machine; a day begins at midnight UTC.
  const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).optional();
  const { success, data } = moment.safeParse(options[name]);
  if (success) return data && new Date(data).toISOString();
  throw new RefusedError(`--${name} takes a day or a moment with its zone: 2026-11-25T08:00Z`);
}

/** A name in one line; undefined: it wasn't typed. */
function labelOf(typed: Typed, name: "old-server"): string | undefined {
  const label = textOption(typed, name)?.trim();
  if (label === undefined || (label !== "" && label.length <= MAX_LABEL)) return label;
  throw new RefusedError(`--${name} takes 1 to ${MAX_LABEL} characters`);
}

/** Without the gateway's secret, the pseudonyms are the same within one file only. */
function redactorOf({ DRY_RUN_SECRET }: ParityConfig) {
  return createRedactor(DRY_RUN_SECRET ?? crypto.randomUUID() + crypto.randomUUID());
}

function upstreamOf(text = "legacy"): Upstream {
  if (text === "legacy" || text === "service") return text;
  throw new RefusedError("A side is legacy or service");
}

function unreadable(file: string | URL, error: unknown): never {
  throw new RefusedError(`${file} can't be read: ${sentenceOf(error)}`);
}
