import type postgres from "postgres";
import { gather } from "../gather.ts";
import type { Sql } from "./connect.ts";
import { inTime } from "./in_time.ts";
import { textArray } from "./text_array.ts";
import { isUndone } from "./undone.ts";

/** A statement of our own words, with its values apart. */
export interface WritingStatement {
  readonly text: string;
  /** The values of `$1`, `$2`, …, as PostgreSQL reads them. */
  readonly parameters: readonly (string | number | null)[];
  /**
   * What does the same for several statements of this text, each of which gives one row, and gives
   * their rows in their order; its parameters are `text[]`, each with one statement's value after
   * another's. Nothing: it can't be done together with others.
   */
  readonly together?: string;
}

/**
 * Executes one statement that writes and gives back its rows: for good ({@link writeTo}), or without
 * leaving anything (`db/dry_runs.ts`). It is the same statement either way, so that a dry run says
 * what the real one would have said.
 */
export type Write = <Row extends postgres.MaybeRow>(statement: WritingStatement) => Promise<Row[]>;

/** So many are executed together at most. */
const MOST_TOGETHER = 16;

/**
 * Writes for good. Statements of one text that can be done together are, in one transaction, while
 * some of the pool's connections are busy with others of it: what costs is the way to PostgreSQL and
 * the commit, not the row. When they fail together each is tried by itself, so that each is told what
 * it would have been told alone. Nothing is told before its commit.
 */
export function writeTo(sql: Sql): Write {
  const alone = <Row extends postgres.MaybeRow>({ text, parameters }: WritingStatement) =>
    inTime(sql, sql.unsafe<Row[]>(text, [...parameters], { prepare: true }));

  const bounds = { atOnce: Math.ceil(sql.options.max / 3), most: MOST_TOGETHER };
  const gatherer = (together: string) =>
    gather(async (statements: readonly WritingStatement[]) => {
      const [first] = statements;
      if (first === undefined || statements.length === 1) return undefined;
      const lists = first.parameters.map((_, column) =>
        textArray(statements.map(({ parameters }) => parameters[column]?.toString() ?? null))
      );
      try {
        return await inTime(sql, sql.unsafe(together, lists, { prepare: true }));
      } catch (error) {
        if (!isUndone(error)) throw error;
        return undefined;
      }
    }, bounds);

  const gatherers = new Map<string, ReturnType<typeof gatherer>>();
  return async <Row extends postgres.MaybeRow>(statement: WritingStatement): Promise<Row[]> => {
    const { together } = statement;
    if (together === undefined) return await alone<Row>(statement);
    let add = gatherers.get(together);
    if (add === undefined) gatherers.set(together, add = gatherer(together));
    const { answer: rows, place } = await add(statement);
    const row = rows?.[place] as Row | undefined;
    return row === undefined ? await alone<Row>(statement) : [row];
  };
}
