import type postgres from "postgres";
import type { Sql } from "./connect.ts";
import { inTime } from "./in_time.ts";

/** A statement of our own words, with its values apart. */
export interface WritingStatement {
  readonly text: string;
  /** The values of `$1`, `$2`, …, as PostgreSQL reads them. */
  readonly parameters: readonly (string | number | null)[];
}

/**
 * Executes one statement that writes and gives back its rows: for good ({@link writeTo}), or without
 * leaving anything (`db/dry_runs.ts`). It is the same statement either way, so that a dry run says
 * what the real one would have said.
 */
export type Write = <Row extends postgres.MaybeRow>(statement: WritingStatement) => Promise<Row[]>;

/** Writes for good. */
export const writeTo = (sql: Sql): Write =>
<Row extends postgres.MaybeRow>(
  { text, parameters }: WritingStatement,
): Promise<Row[]> => inTime(sql, sql.unsafe<Row[]>(text, [...parameters], { prepare: true }));
