import type { AuditSql, Check, Found } from "./check.ts";

/** Weights and temperatures of lots; the subject is the lot's id. */
export const WEIGHT_CHECKS: readonly Check[] = [
  { kind: "overdrawn", found: overdrawn },
  {
    kind: "gained_weight",
    found: (sql, { tolerancePercent }) => gainedWeight(sql, tolerancePercent),
  },
  {
    kind: "missing_weight",
    found: (sql) =>
      sql`select id as subject, array[id] as lot_ids, '{}'::jsonb as numbers
        from lots where weight_kg is null`,
  },
  {
    kind: "negative_weight",
    found: (sql) => weights(sql, sql`weight_kg < 0 and weight_kg > '-Infinity'`),
  },
  {
    kind: "weight_not_a_number",
    found: (sql) => weights(sql, sql`weight_kg in ('NaN', 'Infinity', '-Infinity')`),
  },
  {
    kind: "temperature_out_of_range",
    // NaN is greater than any `most`.
    found: (sql, { temperatures }) =>
      sql`
      select lots.id as subject, array[lots.id] as lot_ids,
        jsonb_build_object('temperature_c', lotline.short_decimal(temperature_c),
          'least_c', least, 'most_c', most) as numbers
      from lots join jsonb_to_recordset(${sql.json(rows(temperatures))}::jsonb)
        as limits (lot_type text, least text, most text) using (lot_type)
      where temperature_c < least::numeric or temperature_c > most::numeric`,
  },
];

function rows(temperatures: Readonly<Record<string, { least: string; most: string }>>) {
  return Object.entries(temperatures).map(([lot_type, { least, most }]) => (
    { lot_type, least, most }
  ));
}

function weights(sql: AuditSql, condition: Found): Found {
  return sql`
    select id as subject, array[id] as lot_ids,
      jsonb_build_object('weight_kg', lotline.short_decimal(weight_kg)) as numbers
    from lots where ${condition}`;
}

// An unknown quantity isn't negative, so the known ones are too much already.
function overdrawn(sql: AuditSql): Found {
  return sql`
    select lots.id as subject, array[lots.id] as lot_ids,
      jsonb_build_object('weight_kg', lotline.short_decimal(weight_kg),
        'used_kg', lotline.short_decimal(used_kg),
        'over_kg', lotline.short_decimal(used_kg - weight_kg)) as numbers
    from (
      select parent_lot_id as id, sum(quantity_used_kg) as used_kg
      from lot_genealogy
      where parent_lot_id is not null and child_lot_id is distinct from parent_lot_id
        and quantity_used_kg > '-Infinity' and quantity_used_kg < 'Infinity'
      group by parent_lot_id
    ) used join lots using (id)
    where weight_kg >= 0 and weight_kg < 'Infinity' and used_kg > weight_kg`;
}

function gainedWeight(sql: AuditSql, tolerancePercent: string): Found {
  return sql`
    select lots.id as subject, array[lots.id] as lot_ids,
      jsonb_build_object('weight_kg', lotline.short_decimal(weight_kg),
        'inputs_kg', lotline.short_decimal(inputs_kg),
        'over_kg', lotline.short_decimal(weight_kg - inputs_kg)) as numbers
    from (
      select child_lot_id as id, sum(quantity_used_kg) as inputs_kg
      from lot_genealogy
      where child_lot_id is not null and parent_lot_id is distinct from child_lot_id
      group by child_lot_id
      having bool_and(coalesce(quantity_used_kg > '-Infinity' and quantity_used_kg < 'Infinity', false))
    ) inputs join lots using (id)
    where weight_kg > 0 and weight_kg < 'Infinity'
      and weight_kg > inputs_kg + abs(inputs_kg) * ${tolerancePercent}::numeric / 100`;
}
