import type { AuditSql, Check, Found } from "./check.ts";

/** Checks of single links; the subject is the link's id. */
export const LINK_CHECKS: readonly Check[] = [
  {
    kind: "self_link",
    found: (sql) => links(sql, sql`parent_lot_id = child_lot_id`),
  },
  {
    kind: "half_link",
    found: (sql) => links(sql, sql`parent_lot_id is null or child_lot_id is null`),
  },
  {
    kind: "missing_quantity",
    found: (sql) => links(sql, sql`quantity_used_kg is null`),
  },
  {
    kind: "negative_quantity",
    found: (sql) => links(sql, sql`quantity_used_kg < 0 and quantity_used_kg > '-Infinity'`),
  },
  {
    kind: "quantity_not_a_number",
    found: (sql) => links(sql, sql`quantity_used_kg in ('NaN', 'Infinity', '-Infinity')`),
  },
];

function links(sql: AuditSql, condition: Found): Found {
  return sql`
    select id as subject,
      case when parent_lot_id = child_lot_id then array[parent_lot_id]
        else array_remove(array[parent_lot_id, child_lot_id], null) end as lot_ids,
      jsonb_build_object('quantity_kg', lotline.short_decimal(quantity_used_kg),
        'linked_at', lotline.iso_moment(linked_at)) as numbers
    from lot_genealogy where ${condition}`;
}
