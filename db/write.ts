import type postgres from "postgres";
import type { Sql } from "./sql.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { textArray } from "./text_array.ts";
import { batchedQuery } from "./batched_query.ts";
import { wasRolledBack } from "./pg_errors.ts";

/** A statement of our own words, with its values apart. */
export interface WritingStatement {
  readonly text: string;
  /** The values of `$1`, `$2`, …, as PostgreSQL reads them. */
  readonly parameters: readonly (string | number | null)[];
  /**
   * Makes what does the same for several statements of this text, each of which gives one row, and
   * gives their rows in their order; its parameters are `text[]`, each with one statement's value
   * after another's. Called once for a text. Nothing: it can't be done together with others.
   */
  readonly batched?: () => string;
}

/**
 * Executes one statement that writes and gives back its rows.
 */
export type Write = <Row extends postgres.MaybeRow>(statement: WritingStatement) => Promise<Row[]>;

const SHARE_OF_POOL = 1 / 3;

/**
 * Writes for good. Statements of one text that can be done together are, in one transaction, while
 * some of the pool's connections are busy with others of it: what costs is the way to PostgreSQL and
 * the commit, not the row. When they fail together each is tried by itself, so that each is told what
 * it would have been told alone. Nothing is told before its commit.
 */
export function writeTo(sql: Sql): Write {
  const writeOne = ({ text, parameters }: WritingStatement, deadlineMs?: number) =>
    queryWithDeadline(sql, sql.unsafe(text, [...parameters], { prepare: true }), deadlineMs);

  const writer = (inBatches: string) =>
    batchedQuery<WritingStatement, postgres.Row[]>(sql, SHARE_OF_POOL, {
      async runBatch(statements, deadlineMs) {
        const lists = statements[0]?.parameters.map((_, column) =>
          textArray(statements.map(({ parameters }) => parameters[column]?.toString() ?? null))
        );
        const query = sql.unsafe(inBatches, lists, { prepare: true });
        const rows = await queryWithDeadline(sql, query, deadlineMs);
        return (_, index) => rows.slice(index, index + 1);
      },
      runOne: writeOne,
      // After one that took too long there would be no time: who is told of a failure must be able to
      // rely on it.
      shouldRunAlone: wasRolledBack,
    });

  const writers = new Map<string, ReturnType<typeof writer>>();
  const write = async (statement: WritingStatement) => {
    const { text, batched: textForAll } = statement;
    if (textForAll === undefined) return await writeOne(statement);
    let writeOneOfAll = writers.get(text);
    if (writeOneOfAll === undefined) writers.set(text, writeOneOfAll = writer(textForAll()));
    return await writeOneOfAll(statement);
  };
  return write as Write;
}
