import type { Environment } from "../config.ts";
import { parseAddress } from "../db/address.ts";
import { connect } from "../db/connect.ts";
import { ALL_SERIES, readSteps } from "../db/migrations.ts";
import { isMissingRight } from "../db/pg_errors.ts";
import { problemOf } from "../db/problems.ts";
import { checkDatabase } from "../db/readiness_checks.ts";
import { readSchemaState, type SchemaState } from "../db/schema_state.ts";
import { withDeadline } from "../timing.ts";
import type { Finding } from "../db/readiness_checks.ts";
import { addresses } from "./address.ts";
import type { DatabaseCheck, LocalCheck } from "./checks.ts";
import { certificates, encryption } from "./encryption.ts";
import { adviceFor, failure, notChecked } from "./findings.ts";
import { keys } from "./keys.ts";
import { locks } from "./locks.ts";
import { direct, pooler } from "./pooler.ts";
import { processes } from "./processes.ts";
import { restore } from "./restore.ts";
import { rights } from "./rights.ts";
import { connections, disk, versions } from "./server.ts";
import { readSettingsAndMistakes, type Settings } from "./settings.ts";
import { clocks, timeZone } from "./times.ts";
import { valkey } from "./valkey.ts";
import { jobs, outbox, schedule } from "./work.ts";

const LOCAL: readonly LocalCheck[] = [addresses, pooler, direct, certificates, keys, valkey];
const OF_DATABASE: readonly DatabaseCheck[] = [
  encryption,
  versions,
  connections,
  locks,
  disk,
  timeZone,
  rights,
  restore,
  processes,
  clocks,
  schedule,
  jobs,
  outbox,
];

/** For each check, in ms. */
const CHECK_MS = 5_000;
/** To connect, and for the first statement. */
const DATABASE_MS = 4_000;
const POOL_MAX = 4;

/** Runs all checks at once; one that fails hides no other. */
export async function runChecks(environment: Environment): Promise<readonly Finding[]> {
  const { settings, findings } = readSettingsAndMistakes(environment);
  const [local, ofDatabase] = await Promise.all([
    Promise.all(LOCAL.map((check) => finished(check.name, () => check.run(settings)))),
    checkAllOfDatabase(settings),
  ]);
  return [...findings, ...local.flat(), ...ofDatabase];
}

async function checkAllOfDatabase(settings: Settings): Promise<readonly Finding[]> {
  const { own } = settings;
  if (own === undefined) {
    return OF_DATABASE.map(({ name }) => notChecked(name, "DATABASE_URL can't be used"));
  }
  const sql = connect({ url: own.url, max: POOL_MAX, name: "lotline-doctor" });
  const deps = { settings, databaseUrl: own.url, address: parseAddress(own.url), sql };
  try {
    const findings = await finished("database", async () => {
      const steps = await readSteps(ALL_SERIES);
      let schema: SchemaState | undefined;
      const found = await checkDatabase(
        sql,
        async () => schema = await readSchemaState(sql, steps),
        DATABASE_MS,
      );
      return found.map((finding) =>
        finding.check === "migrations" ? withSteps(finding, schema) : withCause(finding)
      );
    }, own.setting);
    const obstacles = obstaclesOf(findings);
    const others = await Promise.all(OF_DATABASE.map((check) => {
      const obstacle = obstacles[check.needs];
      if (obstacle !== undefined) return [notChecked(check.name, obstacle)];
      return finished(check.name, () => check.run(deps), own.setting);
    }));
    return [...findings.map((finding) => ofSetting(finding, own.setting)), ...others.flat()];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const MAX_STEPS = 5;

/** Names the migrations that the database lacks, or has beyond these. */
function withSteps(finding: Finding, schema: SchemaState | undefined): Finding {
  if (schema === undefined || !("steps" in schema)) return finding;
  const { length } = schema.steps;
  const names = schema.steps.slice(0, MAX_STEPS).join(", ");
  const more = length > MAX_STEPS ? ` and ${length - MAX_STEPS} more` : "";
  return { ...finding, message: `${finding.message}: ${names}${more}` };
}

/** Why the checks with each need can't be run; undefined: they can. */
function obstaclesOf(
  findings: readonly Finding[],
): Readonly<Record<DatabaseCheck["needs"], string | undefined>> {
  const isWell = (name: string) =>
    findings.some(({ check, level }) => check === name && level !== "failure");
  const nothing = isWell("database") ? undefined : "the database can't be used";
  const schema = nothing ?? (isWell("migrations") ? undefined : "the database lacks migrations");
  const primary = schema ?? (isWell("read_only") ? undefined : "the database is read-only");
  return { nothing, schema, primary };
}

/** The findings of a check; an error or a timeout is one too. */
async function finished(
  name: string,
  run: () => Promise<readonly Finding[]> | readonly Finding[],
  setting = "DATABASE_URL",
): Promise<readonly Finding[]> {
  try {
    return await withDeadline(
      Promise.try(run),
      CHECK_MS,
      () => [failure(name, `No result within ${CHECK_MS / 1_000} s`, "check network and load")],
    );
  } catch (error) {
    if (isMissingRight(error)) {
      return [{
        ...notChecked(name, "the database's user may not read it"),
        todo: "run the doctor with the DATABASE_URL of the worker",
      }];
    }
    const problem = problemOf(error);
    return [withCause(
      ofSetting(
        failure(
          name,
          problem?.sentence ?? "The check itself failed",
          problem?.todo ?? "report it",
        ),
        setting,
      ),
      error,
    )];
  }
}

/** Names the setting that has the address. */
const ofSetting = (finding: Finding, setting: string): Finding =>
  finding.todo === undefined ? finding : { ...finding, todo: adviceFor(finding.todo, setting) };

/** The cause of an error names hosts and users, never a password. */
function withCause(finding: Finding, cause = finding.cause): Finding {
  if (!(cause instanceof Error)) return finding;
  return { ...finding, message: `${finding.message} (${cause.message})` };
}
