import { parseAddress } from "../db/address.ts";
import { openSession } from "../db/session.ts";
import { type Pooler, poolerOf } from "../db/pooler.ts";
import { problemOf } from "../db/problems.ts";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { oneRow } from "../db/one_row.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { adviceFor, failure, notChecked, note, ok, warning } from "./findings.ts";
import type { Settings } from "./settings.ts";

const TIMEOUT_MS = 2_000;

/** Which pooler DATABASE_URL leads through, and whether what it can't do has an address. */
export const pooler: LocalCheck = {
  name: "pooler",
  async run(settings) {
    const { databaseUrl } = settings;
    if (databaseUrl === undefined) return [];
    const found = await look(databaseUrl);
    // The check of the database says why.
    if (found === undefined) return [notChecked("pooler", "DATABASE_URL can't be used")];
    return poolerFindings(found, settings);
  },
};

/** What stands there, whatever the setting says; undefined when no connection can be made. */
async function look(url: string): Promise<Pooler | undefined> {
  try {
    return await poolerOf({ ...parseAddress(url), pooler: "auto" });
  } catch (error) {
    if (problemOf(error) === undefined) throw error;
    return undefined;
  }
}

const DIRECT = "set DATABASE_DIRECT_URL to the address of PostgreSQL itself";

export function poolerFindings(
  found: Pooler,
  { poolerSetting, directUrl, isOfApi }: Pick<
    Settings,
    "poolerSetting" | "directUrl" | "isOfApi"
  >,
): readonly Finding[] {
  const check = "pooler";
  if (found.kind === "none") {
    return [
      poolerSetting === "transaction"
        ? note(
          check,
          "DATABASE_POOLER is transaction, and DATABASE_URL leads to PostgreSQL itself: each " +
            "statement is slower",
          "set DATABASE_POOLER=auto",
        )
        : ok(check, "DATABASE_URL leads to PostgreSQL itself, without a pooler"),
    ];
  }
  if (poolerSetting === "none") {
    return [
      failure(
        check,
        "DATABASE_POOLER is none, and DATABASE_URL leads through a pooler in transaction mode: " +
          "timeouts and locks don't hold",
        "set DATABASE_POOLER=auto",
      ),
    ];
  }
  const through = "DATABASE_URL leads through a pooler in transaction mode";
  return [
    found.prepared ? ok(check, `${through}, with prepared statements`) : note(
      check,
      `${through}, without prepared statements: PostgreSQL plans each statement again`,
      "use PgBouncer 1.21 or later with max_prepared_statements = 200",
    ),
    ...(directUrl !== undefined ? [] : [
      (isOfApi ? warning : failure)(
        check,
        "DATABASE_DIRECT_URL is not set, and worker and migrations can't work through a pooler",
        DIRECT,
      ),
    ]),
  ];
}

/** Whether DATABASE_DIRECT_URL leads to the same database, and past each pooler. */
export const direct: LocalCheck = {
  name: "direct address",
  async run({ databaseUrl, directUrl }) {
    if (directUrl === undefined) return [];
    const check = "direct address";
    try {
      const found = await look(directUrl) ?? await poolerOf(parseAddress(directUrl));
      if (found.kind !== "none") {
        return [
          failure(
            check,
            "DATABASE_DIRECT_URL leads through a pooler in transaction mode",
            "give the address of PostgreSQL itself in DATABASE_DIRECT_URL",
          ),
        ];
      }
      const [there, here] = await Promise.all([
        readIdentity(directUrl),
        databaseUrl === undefined ? undefined : readIdentity(databaseUrl).catch(() => undefined),
      ]);
      return [directFinding(there, here)];
    } catch (error) {
      const found = problemOf(error);
      if (found === undefined) throw error;
      const cause = error instanceof Error ? ` (${error.message})` : "";
      return [failure(check, found.sentence + cause, adviceFor(found.todo, "DATABASE_DIRECT_URL"))];
    }
  },
};

interface Identity {
  /** Of the cluster and the database in it. */
  readonly id: string;
  readonly database: string;
  readonly isReadOnly: boolean;
}

/** @param here of DATABASE_URL; undefined: it can't be used */
export function directFinding(there: Identity, here: Identity | undefined): Finding {
  const check = "direct address";
  if (here !== undefined && here.id !== there.id) {
    return failure(
      check,
      `DATABASE_DIRECT_URL leads to another database, ${there.database}, than DATABASE_URL, ` +
        here.database,
      "give both the same server and database",
    );
  }
  if (there.isReadOnly) {
    return failure(
      check,
      "DATABASE_DIRECT_URL leads to a database that is read-only",
      "name the primary in DATABASE_DIRECT_URL",
    );
  }
  return ok(check, "DATABASE_DIRECT_URL leads to PostgreSQL itself");
}

async function readIdentity(url: string): Promise<Identity> {
  await using session = openSession(url, {
    name: "lotline-doctor",
    statementTimeoutMs: TIMEOUT_MS,
    connectTimeoutMs: TIMEOUT_MS,
  });
  const query = session.sql<Identity[]>`
    select current_database() as database,
      (select system_identifier from pg_control_system()) || ' ' ||
        (select oid from pg_database where datname = current_database()) as id,
      current_setting('transaction_read_only') = 'on' as "isReadOnly"`;
  return oneRow(await queryWithDeadline(session.sql, query, TIMEOUT_MS * 2));
}
