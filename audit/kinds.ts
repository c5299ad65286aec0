import type { Sql, Statement } from "../db/sql.ts";

/** The limits of measurements. Decimals are text, which PostgreSQL compares. */
export interface AuditLimits {
  /** How much more than its inputs a lot may weigh, in percent of them. */
  readonly tolerancePercent: string;
  /** By lot type, in °C, inclusive. An absent type has no limits. */
  readonly temperatures: Readonly<
    Record<string, { readonly least: string; readonly most: string }>
  >;
}

export interface KindOfFinding {
  /** Critical: it affects health or every trace. Major: the books. */
  readonly severity: "critical" | "major" | "minor";
  /**
   * A query with a row for each finding: `subject` (uuid, unique; identifies the finding in other
   * audits), `lot_ids` (uuid[], the lots concerned) and `numbers` (jsonb; kilograms and °C are text,
   * moments as responses show them). Absent: see cycle_search.ts.
   */
  readonly found?: (sql: Sql, limits: AuditLimits) => Statement;
}

/**
 * What an audit checks, in this order; `openapi.yaml` has the same.
 *
 * A number that is missing, NaN or infinite is a finding of its own, and no other check uses it: in
 * PostgreSQL NaN is greater than every number, and a sum with it is NaN. A link from a lot to itself is
 * one finding, and makes the lot neither a parent nor a child.
 */
export const KINDS = {
  // Lots that are their own ancestors, by way of at least one other lot.
  cycle: { severity: "critical" },
  self_link: {
    severity: "critical",
    found: (sql) => links(sql, sql`parent_lot_id = child_lot_id`),
  },
  half_link: {
    severity: "major",
    found: (sql) => links(sql, sql`parent_lot_id is null or child_lot_id is null`),
  },
  // Half links count. No tolerance: the lot was weighed once, and `over_kg` shows a mere rounding.
  // Negative quantities are corrections.
  overdrawn: { severity: "major", found: overdrawn },
  // Judged only where the quantity of every input is known.
  gained_weight: { severity: "major", found: gainedWeight },
  made_of_nothing: { severity: "major", found: (sql) => withoutParents(sql, sql`true`) },
  // Also made of nothing; without any links, half ones included, it may be a mere slip. RAW without
  // links is stock.
  orphan: {
    severity: "minor",
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
  missing_weight: {
    severity: "minor",
    found: (sql) =>
      sql`select id as subject, array[id] as lot_ids, '{}'::jsonb as numbers
        from lots where weight_kg is null`,
  },
  negative_weight: {
    severity: "major",
    found: (sql) => weights(sql, sql`weight_kg < 0 and weight_kg > '-Infinity'`),
  },
  weight_not_a_number: {
    severity: "major",
    found: (sql) => weights(sql, sql`weight_kg in ('NaN', 'Infinity', '-Infinity')`),
  },
  missing_quantity: {
    severity: "minor",
    found: (sql) => links(sql, sql`quantity_used_kg is null`),
  },
  negative_quantity: {
    severity: "major",
    found: (sql) => links(sql, sql`quantity_used_kg < 0 and quantity_used_kg > '-Infinity'`),
  },
  quantity_not_a_number: {
    severity: "major",
    found: (sql) => links(sql, sql`quantity_used_kg in ('NaN', 'Infinity', '-Infinity')`),
  },
  // NaN is greater than any `most`.
  temperature_out_of_range: {
    severity: "major",
    found: (sql, { temperatures }) =>
      sql`
      select lots.id as subject, array[lots.id] as lot_ids,
        jsonb_build_object('temperature_c', lotline.short_decimal(temperature_c),
          'least_c', limits ->> 'least', 'most_c', limits ->> 'most') as numbers
      from lots join jsonb_each(${sql.json(temperatures)}::jsonb) as of_type (lot_type, limits)
        using (lot_type)
      where temperature_c < (limits ->> 'least')::numeric
        or temperature_c > (limits ->> 'most')::numeric`,
  },
  // By the link's time, or its child's if it has none, strictly after; a PASS of the same moment as
  // the link releases. Decisions without a verdict or a time don't count.
  used_after_fail: { severity: "critical", found: (sql) => usedAfter(sql, "FAIL") },
  used_after_hold: { severity: "major", found: (sql) => usedAfter(sql, "HOLD") },
  // No gate has passed the lot, or a gate's latest decision is FAIL or HOLD. A decision without a time
  // counts as the oldest; of several of one moment the worst counts.
  fg_without_pass: { severity: "major", found: fgWithoutPass },
} as const satisfies Record<string, KindOfFinding>;

/** Stored with each finding and compared with the last audit's. */
export type Kind = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS) as [Kind, ...Kind[]];

/** The subject is the link's id. */
function links(sql: Sql, condition: Statement): Statement {
  return sql`
    select id as subject,
      case when parent_lot_id = child_lot_id then array[parent_lot_id]
        else array_remove(array[parent_lot_id, child_lot_id], null) end as lot_ids,
      jsonb_build_object('quantity_kg', lotline.short_decimal(quantity_used_kg),
        'linked_at', lotline.iso_moment(linked_at)) as numbers
    from lot_genealogy where ${condition}`;
}

/** The subject is the lot's id, as in the queries below. */
function weights(sql: Sql, condition: Statement): Statement {
  return sql`
    select id as subject, array[id] as lot_ids,
      jsonb_build_object('weight_kg', lotline.short_decimal(weight_kg)) as numbers
    from lots where ${condition}`;
}

function withoutParents(sql: Sql, condition: Statement): Statement {
  return weights(
    sql,
    sql`lot_type is distinct from 'RAW' and not exists (
      select from lot_genealogy where child_lot_id = lots.id and parent_lot_id <> child_lot_id
    ) and ${condition}`,
  );
}

// An unknown quantity isn't negative, so the known ones are too much already.
function overdrawn(sql: Sql): Statement {
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

function gainedWeight(sql: Sql, { tolerancePercent }: AuditLimits): Statement {
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

// FAIL, HOLD, PASS: the alphabetical order is the order of severity. Of a gate's decisions of one moment
// the worst counts, which is `min`; decisions without a gate count as one gate's.

/** Links from a lot while a gate's decision was against its use. The subject is the link's id. */
function usedAfter(sql: Sql, decision: "FAIL" | "HOLD"): Statement {
  return sql`
    select distinct on (subject) subject, lot_ids,
      jsonb_build_object('quantity_kg', lotline.short_decimal(quantity_used_kg),
        'linked_at', lotline.iso_moment(linked_at),
        'decided_at', lotline.iso_moment(decided_at)) as numbers
    from (
      select link.id as subject, array_remove(array[link.parent_lot_id, link.child_lot_id], null)
        as lot_ids, link.quantity_used_kg, link.linked_at, standing.decided_at
      from (
        select lot_id, decided_at, worst,
          lead(decided_at) over gate as replaced_at, lead(worst) over gate as replaced_by
        from (
          select lot_id, qc_gate_id, decided_at, min(decision) as worst
          from qc_decisions
          where decision is not null and decided_at is not null and lot_id in (
            select lot_id from qc_decisions where decision = ${decision}
          )
          group by lot_id, qc_gate_id, decided_at
        ) moments
        window gate as (partition by lot_id, qc_gate_id order by decided_at)
      ) standing
      join lot_genealogy link
        on link.parent_lot_id = standing.lot_id and link.child_lot_id is distinct from standing.lot_id
      left join lots child on child.id = link.child_lot_id
      cross join lateral (select coalesce(link.linked_at, child.created_at) as at) used
      where standing.worst = ${decision} and used.at > standing.decided_at
        and (replaced_at is null or used.at < replaced_at
          or used.at = replaced_at and replaced_by <> 'PASS')
    ) uses
    order by subject, decided_at desc`;
}

function fgWithoutPass(sql: Sql): Statement {
  return sql`
    select lots.id as subject, array[lots.id] as lot_ids,
      jsonb_build_object('decisions', coalesce(decisions, 0), 'worst', worst) as numbers
    from lots left join (
      select lot_id, sum(decisions)::int as decisions, min(decision) as worst
      from (
        select distinct on (lot_id, qc_gate_id) lot_id, decision,
          count(*) over (partition by lot_id, qc_gate_id) as decisions
        from qc_decisions
        where decision is not null and lot_id in (select id from lots where lot_type = 'FG')
        order by lot_id, qc_gate_id, decided_at desc nulls last, decision
      ) latest
      group by lot_id
    ) gates on gates.lot_id = lots.id
    where lot_type = 'FG' and worst is distinct from 'PASS'`;
}
