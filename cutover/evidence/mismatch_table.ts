import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";

/* `lotline.differences`, to be read: evidence.ts adds to it. */

const KindRow = z.object({
  fingerprint: z.string(),
  operation: z.string(),
  outcome: z.string(),
  /** How many are kept; there may have been more. */
  kept: z.int(),
  first: z.string(),
  last: z.string(),
  /** The last of them. */
  example: z.object({
    id: z.number(),
    epoch: z.int(),
    mode: z.string(),
    request: z.unknown(),
    legacy: z.unknown(),
    service: z.unknown(),
    differences: z.array(z.object({
      place: z.string(),
      legacy: z.string().optional(),
      service: z.string().optional(),
    })),
  }),
});

/** Differences of one kind that were kept. Moments are UTC text. */
export type DifferenceKind = Readonly<z.output<typeof KindRow>>;

/** The kinds that were found from one moment until before another, the newest first. */
export async function listDifferenceKinds(
  sql: Sql,
  { from, until, limit }: {
    readonly from: string;
    readonly until: string;
    readonly limit: number;
  },
): Promise<DifferenceKind[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      with kinds as (
        select fingerprint, count(*)::int as kept, min(at) as first, max(at) as last, max(id) as id
        from lotline.differences where at >= ${from} and at < ${until}
        group by fingerprint order by max(id) desc limit ${limit}
      )
      select fingerprint, operation, outcome, kept, first, last, jsonb_build_object(
        'id', id, 'epoch', epoch, 'mode', mode, 'request', request, 'legacy', legacy,
        'service', service, 'differences', differences
      ) as example
      from kinds join lotline.differences using (id, fingerprint) order by id desc`,
  );
  return rows.map((row) => KindRow.parse(row));
}
