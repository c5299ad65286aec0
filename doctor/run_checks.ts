import type { Environment } from "../config.ts";
import { connect } from "../db/connect.ts";
import { ALL_SERIES, readSteps } from "../db/migrations.ts";
import { isMissingRight } from "../db/pg_errors.ts";
import { problemOf } from "../db/problems.ts";
import { checkDatabase } from "../db/readiness_checks.ts";
import { readSchemaState } from "../db/schema_state.ts";
import { withDeadline } from "../timing.ts";
import type { Finding } from "../db/readiness_checks.ts";
import { addresses } from "./address.ts";
import type { DatabaseCheck, LocalCheck } from "./checks.ts";
import { certificates, encryption } from "./encryption.ts";
import { failure, note } from "./findings.ts";
import { keys } from "./keys.ts";
import { rights } from "./rights.ts";
import { connections, disk, versions } from "./server.ts";
import { readSettingsAndMistakes, type Settings } from "./settings.ts";
import { clocks, processes, timeZone } from "./times.ts";
import { valkey } from "./valkey.ts";
import { jobs, outbox, schedule } from "./work.ts";

const LOCAL: readonly LocalCheck[] = [addresses, certificates, keys, valkey];
const OF_DATABASE: readonly DatabaseCheck[] = [
  encryption,
  versions,
  connections,
  disk,
  timeZone,
  rights,
  processes,
  clocks,
  schedule,
  jobs,
  outbox,
];

/** For each check, in ms; longer than the deadlines of what it uses. */
const CHECK_MS = 8_000;
const DATABASE_MS = 3_000;
const POOL_MAX = 4;

/** Runs all checks; one that fails hides no other. */
export async function runChecks(environment: Environment): Promise<readonly Finding[]> {
  const { settings, findings } = readSettingsAndMistakes(environment);
  const [local, ofDatabase] = await Promise.all([
    Promise.all(LOCAL.map((check) => finished(check.name, () => check.run(settings)))),
    checkAllOfDatabase(settings),
  ]);
  return [...findings, ...local.flat(), ...ofDatabase];
}

async function checkAllOfDatabase(settings: Settings): Promise<readonly Finding[]> {
  const { databaseUrl, address } = settings;
  if (databaseUrl === undefined || address === undefined) {
    return OF_DATABASE.map(({ name }) => notChecked(name, "DATABASE_URL can't be used"));
  }
  const sql = connect({ url: databaseUrl, max: POOL_MAX, name: "lotline-doctor" });
  try {
    const findings = await finished("database", async () => {
      const steps = await readSteps(ALL_SERIES);
      const found = await checkDatabase(sql, () => readSchemaState(sql, steps), DATABASE_MS);
      return found.map((finding) => withCause(finding));
    });
    const failed = findings.find(({ level, check }) => level === "failure" && check === "database");
    const hasSchema = findings.some(({ level, check }) =>
      level !== "failure" && check === "migrations"
    );
    const others = await Promise.all(OF_DATABASE.map((check) => {
      if (failed) return [notChecked(check.name, "the database can't be used")];
      if (check.needsSchema && !hasSchema) {
        return [notChecked(check.name, "the database lacks migrations")];
      }
      return finished(check.name, () => check.run({ settings, databaseUrl, address, sql }));
    }));
    return [...findings, ...others.flat()];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The findings of a check; an error or a timeout is one too. */
async function finished(
  name: string,
  run: () => Promise<readonly Finding[]> | readonly Finding[],
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
      failure(
        name,
        problem?.sentence ?? "The check itself failed",
        problem?.todo ?? "report it",
      ),
      error,
    )];
  }
}

const notChecked = (name: string, why: string) => note(name, `Not checked: ${why}`);

/** The cause of an error names hosts and users, never a password. */
function withCause(finding: Finding, cause = finding.cause): Finding {
  if (!(cause instanceof Error)) return finding;
  return { ...finding, message: `${finding.message} (${cause.message})` };
}
