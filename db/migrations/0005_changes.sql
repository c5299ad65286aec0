-- What was changed in the old tables, for the cache and the jobs: one row a statement, written by
-- triggers (the next three steps), drained by the worker.
-- Rows go by the transaction that wrote them, not by a sequence: all of a transaction's rows become
-- visible at once, and a transaction that is rolled back leaves no trace, not even a gap.
-- Locks: none on tables that exist.
create table lotline.outbox (
  xid xid8 not null default pg_current_xact_id(),
  source text not null,
  operation text not null,
  -- The lots concerned; null: more of them than are named one by one.
  lots uuid[],
  -- Codes that lots of `lots` had or have, where the change touched them.
  codes text[]
);

create index outbox_xid on lotline.outbox (xid);

-- Moves when a change could not be written down. A sequence, since that also moves in a transaction
-- that fails, and when nothing can be stored any more.
create sequence lotline.lost_changes;

-- What a trigger does when it can't do its work. The writer must never notice, so not even this
-- failing may be the writer's failure.
create function lotline.lose_change(source text, reason text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  raise log 'lotline: a change of % was not written down: %', source, reason;
  perform nextval('lotline.lost_changes');
end $$;

-- The three trigger functions. "security definer": whoever may write to an old table needs no rights
-- here. "lock_timeout": not even a lock on the outbox holds a writer up for long. One statement each
-- time: it is paid for by every writer. Of more than 1,000 rows none is named.
create function lotline.note_lots() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'lots', 'INSERT', case when count(*) <= 1000 then array_agg(id) end
    from (select id from new_rows limit 1001) named having count(*) > 0;
  elsif tg_op = 'UPDATE' then
    insert into lotline.outbox (source, operation, lots, codes)
    select 'lots', 'UPDATE', case when count(*) <= 2000 then array_agg(distinct id) end,
      case when count(*) <= 2000 then array_agg(distinct lot_code) end
    from (
      (select id, lot_code from old_rows limit 1001)
      union all (select id, lot_code from new_rows limit 1001)
    ) named having count(*) > 0;
  elsif tg_op = 'DELETE' then
    insert into lotline.outbox (source, operation, lots, codes)
    select 'lots', 'DELETE', case when count(*) <= 1000 then array_agg(id) end,
      case when count(*) <= 1000 then array_agg(lot_code) end
    from (select id, lot_code from old_rows limit 1001) named having count(*) > 0;
  else
    insert into lotline.outbox (source, operation) values ('lots', tg_op);
  end if;
  return null;
exception when others then
  begin
    perform lotline.lose_change('lots', sqlerrm);
  exception when others then
    null;
  end;
  return null;
end $$;

create function lotline.note_lot_genealogy() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'lot_genealogy', 'INSERT',
      case when count(*) <= 1000 then array_agg(parent_lot_id) || array_agg(child_lot_id) end
    from (select parent_lot_id, child_lot_id from new_rows limit 1001) named having count(*) > 0;
  elsif tg_op = 'UPDATE' then
    insert into lotline.outbox (source, operation, lots)
    select 'lot_genealogy', 'UPDATE',
      case when count(*) <= 2000 then array_agg(parent_lot_id) || array_agg(child_lot_id) end
    from (
      (select parent_lot_id, child_lot_id from old_rows limit 1001)
      union all (select parent_lot_id, child_lot_id from new_rows limit 1001)
    ) named having count(*) > 0;
  elsif tg_op = 'DELETE' then
    insert into lotline.outbox (source, operation, lots)
    select 'lot_genealogy', 'DELETE',
      case when count(*) <= 1000 then array_agg(parent_lot_id) || array_agg(child_lot_id) end
    from (select parent_lot_id, child_lot_id from old_rows limit 1001) named having count(*) > 0;
  else
    insert into lotline.outbox (source, operation) values ('lot_genealogy', tg_op);
  end if;
  return null;
exception when others then
  begin
    perform lotline.lose_change('lot_genealogy', sqlerrm);
  exception when others then
    null;
  end;
  return null;
end $$;

create function lotline.note_qc_decisions() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'qc_decisions', 'INSERT', case when count(*) <= 1000 then array_agg(lot_id) end
    from (select lot_id from new_rows limit 1001) named having count(*) > 0;
  elsif tg_op = 'UPDATE' then
    insert into lotline.outbox (source, operation, lots)
    select 'qc_decisions', 'UPDATE', case when count(*) <= 2000 then array_agg(distinct lot_id) end
    from (
      (select lot_id from old_rows limit 1001) union all (select lot_id from new_rows limit 1001)
    ) named having count(*) > 0;
  elsif tg_op = 'DELETE' then
    insert into lotline.outbox (source, operation, lots)
    select 'qc_decisions', 'DELETE', case when count(*) <= 1000 then array_agg(lot_id) end
    from (select lot_id from old_rows limit 1001) named having count(*) > 0;
  else
    insert into lotline.outbox (source, operation) values ('qc_decisions', tg_op);
  end if;
  return null;
exception when others then
  begin
    perform lotline.lose_change('qc_decisions', sqlerrm);
  exception when others then
    null;
  end;
  return null;
end $$;
