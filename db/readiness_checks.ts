import type { ProblemKind } from "./link_error.ts";
import { isUnavailable } from "./pg_errors.ts";
import { problem, problemOf } from "./problems.ts";
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
    const isReadOnly = await readIsReadOnly(sql, timeoutMs);
    return [
      { check: "database", level: "ok", message: "The database responds" },
      isReadOnly
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

/** Whether transactions may only read: on a standby, or by a setting. */
export async function readIsReadOnly(sql: Sql, timeoutMs: number): Promise<boolean> {
  const [row] = await queryWithDeadline(
    sql,
    sql<{ value: string }[]>`select current_setting('transaction_read_only') as value`,
    timeoutMs,
  );
  return row?.value === "on";
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
