import type { AuditSql, Check, Found } from "./check.ts";

/** Checks of a lot's parents and children; the subject is the lot's id. */
export const ORIGIN_CHECKS: readonly Check[] = [
  { kind: "made_of_nothing", found: (sql) => withoutParents(sql, sql`true`) },
  {
    kind: "orphan",
    found: (sql) =>
      withoutParents(
        sql,
        sql`not exists (
          select from lot_genealogy
          where (parent_lot_id = lots.id or child_lot_id = lots.id)
            and child_lot_id is distinct from parent_lot_id
        )`,
      ),
  },
];

function withoutParents(sql: AuditSql, condition: Found): Found {
  return sql`
    select id as subject, array[id] as lot_ids,
      jsonb_build_object('weight_kg', lotline.short_decimal(weight_kg)) as numbers
    from lots
    where lot_type is distinct from 'RAW' and not exists (
      select from lot_genealogy where child_lot_id = lots.id and parent_lot_id <> child_lot_id
    ) and ${condition}`;
}
