import type { AuditSql, Check, Found } from "./check.ts";

// FAIL, HOLD, PASS: the alphabetical order is the order of severity. Of a gate's decisions of one moment
// the worst counts, which is `min`; decisions without a gate count as one gate's.

/** Decisions compared with the use of their lots. */
export const DECISION_CHECKS: readonly Check[] = [
  { kind: "used_after_fail", found: (sql) => usedAfter(sql, "FAIL") },
  { kind: "used_after_hold", found: (sql) => usedAfter(sql, "HOLD") },
  { kind: "fg_without_pass", found: fgWithoutPass },
];

/** Links from a lot while a gate's decision was against its use. The subject is the link's id. */
function usedAfter(sql: AuditSql, decision: "FAIL" | "HOLD"): Found {
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

/** The subject is the lot's id. */
function fgWithoutPass(sql: AuditSql): Found {
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
