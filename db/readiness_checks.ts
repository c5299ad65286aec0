import type { ProblemKind } from "./link_error.ts";
import { isUnavailable } from "./pg_errors.ts";
import { isTooOld, problem, problemOf } from "./problems.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import type { SchemaState } from "./schema_state.ts";
import type { Sql } from "./sql.ts";

/** What a check has found. */
export interface Finding {
  /** The check's name. */
  readonly check: string;
  readonly level: "ok" | "note" | "warning" | "failure";
  /** One sentence, without names, addresses and passwords. */
  readonly message: string;
  readonly todo?: string;
  readonly problem?: ProblemKind;
  /** For the log. */
  readonly cause?: unknown;
}

/**
 * Whether the database can do a process's work: `database`, `read_only` and `migrations`. It costs one
 * statement.
 *
 * @param schema returns the schema as it was last read
 * @throws an error that isn't the database's
 */
export async function checkDatabase(
  sql: Sql,
  schema: () => Promise<SchemaState>,
  timeoutMs: number,
): Promise<readonly Finding[]> {
  try {
    const unfit = await findServerProblem(sql, timeoutMs);
    if (unfit === "old_server") return [failure("database", unfit)];
    return [
      { check: "database", level: "ok", message: "The database responds" },
      unfit === "read_only"
        ? failure("read_only", "read_only")
        : { check: "read_only", level: "ok", message: "The database can be written" },
      findingOf(await schema()),
    ];
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    const kind = problemOf(error)?.kind ?? "silent";
    return [{ ...failure("database", kind), cause: error }];
  }
}

/**
 * Why a server that responds can't be used: it is too old, or transactions may only read, on a standby
 * or by a setting.
 */
export async function findServerProblem(
  sql: Sql,
  timeoutMs: number,
): Promise<"old_server" | "read_only" | undefined> {
  const [row] = await queryWithDeadline(
    sql,
    sql<{ version: number; readOnly: string }[]>`
      select current_setting('server_version_num')::int as version,
        current_setting('transaction_read_only') as "readOnly"`,
    timeoutMs,
  );
  if (row !== undefined && isTooOld(row.version)) return "old_server";
  return row?.readOnly === "on" ? "read_only" : undefined;
}

function findingOf(schema: SchemaState): Finding {
  const check = "migrations";
  switch (schema.is) {
    case "missing":
      return failure(check, "schema_missing");
    case "behind":
      return failure(check, "schema_old");
    case "forbidden":
      return failure(check, "no_right");
    case "ahead":
      return { check, level: "note", message: "The database belongs to a later Lotline" };
    case "unreadable":
      return {
        check,
        level: "warning",
        message: "The database's user may not read lotline.migrations",
        todo: problem("no_right").todo,
      };
    case "current":
      return { check, level: "ok", message: "The database has all migrations" };
  }
}

function failure(check: string, kind: ProblemKind): Finding {
  const { sentence, todo } = problem(kind);
  return { check, level: "failure", message: sentence, todo, problem: kind };
}
