import type postgres from "postgres";
import type { Sql } from "./sql.ts";
import { inTime } from "./in_time.ts";
import { textArray } from "./text_array.ts";
import { together } from "./together.ts";
import { isUndone } from "./undone.ts";

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
  readonly together?: () => string;
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
    inTime(sql, sql.unsafe(text, [...parameters], { prepare: true }), deadlineMs);

  const writer = (allTogether: string) =>
    together<WritingStatement, postgres.Row[]>(sql, SHARE_OF_POOL, {
      async askAll(statements, deadlineMs) {
        const lists = statements[0]?.parameters.map((_, column) =>
          textArray(statements.map(({ parameters }) => parameters[column]?.toString() ?? null))
        );
        const query = sql.unsafe(allTogether, lists, { prepare: true });
        const rows = await inTime(sql, query, deadlineMs);
        return (_, place) => rows.slice(place, place + 1);
      },
      askOne: writeOne,
      // After one that took too long there would be no time: who is told of a failure must be able to
      // rely on it.
      isWorthTrying: isUndone,
    });

  const writers = new Map<string, ReturnType<typeof writer>>();
  const write = async (statement: WritingStatement) => {
    const { text, together: textForAll } = statement;
    if (textForAll === undefined) return await writeOne(statement);
    let writeOneOfAll = writers.get(text);
    if (writeOneOfAll === undefined) writers.set(text, writeOneOfAll = writer(textForAll()));
    return await writeOneOfAll(statement);
  };
  return write as Write;
}
