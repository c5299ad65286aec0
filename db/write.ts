import type postgres from "postgres";
import type { Sql } from "./sql.ts";
import { runPrepared } from "./query_deadline.ts";
import { textArray } from "./text_array.ts";
import { batchedQuery } from "./batched_query.ts";
import { wasRolledBack } from "./pg_errors.ts";

/** A statement whose text holds no values. */
export interface WritingStatement {
  readonly text: string;
  /** The values of `$1`, `$2`, …, as PostgreSQL reads them. */
  readonly parameters: readonly (string | number | null)[];
  /**
   * Makes the text that does the same for several statements and returns a row for each, in their
   * order; its parameters are `text[]` with a value of each statement. Called once for a text. Absent:
   * the statement runs alone.
   */
  readonly batched?: () => string;
}

/** Executes one statement that writes and returns its rows. */
export type Write = <Row extends postgres.MaybeRow>(statement: WritingStatement) => Promise<Row[]>;

const SHARE_OF_POOL = 1 / 3;

/**
 * Writes and commits. While some of the pool's connections run a statement of one text, others of that
 * text wait and share a transaction: the round trip and the commit cost time, not the row. After a
 * common failure each runs alone, so that each has the result it would have had alone.
 */
export function writeTo(sql: Sql): Write {
  const writeOne = ({ text, parameters }: WritingStatement, deadlineMs?: number) =>
    runPrepared<postgres.Row>(sql, text, parameters, deadlineMs);

  const writer = (inBatches: string) =>
    batchedQuery<WritingStatement, postgres.Row[]>(sql, SHARE_OF_POOL, {
      async runBatch(statements, deadlineMs) {
        const lists = statements[0]?.parameters.map((_, column) =>
          textArray(statements.map(({ parameters }) => parameters[column]?.toString() ?? null))
        );
        const rows = await runPrepared<postgres.Row>(sql, inBatches, lists, deadlineMs);
        return (_, index) => rows.slice(index, index + 1);
      },
      runOne: writeOne,
      // Not after a timeout: there would be no time left, and a reported failure must be final.
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
