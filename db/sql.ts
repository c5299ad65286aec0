import type postgres from "postgres";

// Moments are text on both sides, see `TYPES` in values.ts.
type Types = { date: string | null };

/** A pool of connections. */
export type Sql = postgres.Sql<Types>;

/** A statement that hasn't run yet: to be awaited, or put into another one. */
export type Statement<Row extends postgres.MaybeRow = postgres.Row> = postgres.PendingQuery<Row[]>;
