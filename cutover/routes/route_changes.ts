import type { Sql } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import type { Operation } from "../exchange/operations.ts";

/* `lotline.route_changes`; each change of a route writes its row in the same statement. */

/** Per page. */
export const MAX_CHANGES = 1_000;

/** A row of `lotline.route_changes`. Times are UTC text. */
export interface RecordedChange {
  /** Rises with each change of the same route. */
  readonly id: string;
  readonly at: string;
  readonly what: "set" | "sample" | "rollback" | "clear" | "kill" | "release";
  /** Null: the kill switch; the routes that it changed have their own rows. */
  readonly operation: string | null;
  readonly from_mode: string | null;
  readonly from_percent: number | null;
  readonly to_mode: string | null;
  readonly to_percent: number | null;
  /** Null: the sample was not changed. */
  readonly from_sample: number | null;
  readonly to_sample: number | null;
  /** After the change. */
  readonly epoch: number | null;
  readonly who: string;
  readonly why: string;
  readonly automatic: boolean;
}

/** The newest changes, optionally of one route or before the one with the id `before`. */
export async function listChanges(
  sql: Sql,
  { operation, before, limit }: {
    readonly operation?: Operation | undefined;
    readonly before?: string | undefined;
    readonly limit: number;
  },
): Promise<RecordedChange[]> {
  return await timed(sql)<RecordedChange[]>`
    select id, at, what, operation, from_mode, from_percent, to_mode, to_percent, from_sample,
      to_sample, epoch, who, why, automatic
    from lotline.route_changes
    where (${operation ?? null}::text is null or operation = ${operation ?? null})
      and (${before ?? null}::bigint is null or id < ${before ?? null}::bigint)
    order by id desc limit ${Math.min(limit, MAX_CHANGES)}`;
}

/** A recorded mode as text, such as `canary 10 %`; empty for none. */
export function modeText(name: string | null, percent: number | null): string {
  if (name === null) return "";
  return percent === null ? name : `${name} ${percent} %`;
}
