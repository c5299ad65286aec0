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
-- here. "lock_timeout": not even a lock on the outbox holds a writer up for long.
create function lotline.note_lots() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
declare
  most constant int := 1000;
  lots uuid[];
  codes text[];
begin
  if tg_op = 'INSERT' then
    select array_agg(id) into lots from (select id from new_rows limit most + 1) named;
  elsif tg_op = 'UPDATE' then
    select array_agg(distinct id), array_agg(distinct lot_code) into lots, codes from (
      (select id, lot_code from old_rows limit most + 1)
      union all (select id, lot_code from new_rows limit most + 1)
    ) named;
  elsif tg_op = 'DELETE' then
    select array_agg(id), array_agg(lot_code) into lots, codes
    from (select id, lot_code from old_rows limit most + 1) named;
  end if;
  if tg_op <> 'TRUNCATE' and lots is null then
    return null;
  elsif cardinality(lots) > most then
    lots := null;
    codes := null;
  end if;
  insert into lotline.outbox (source, operation, lots, codes)
  values ('lots', tg_op, lots, codes);
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
declare
  most constant int := 1000;
  lots uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(lot) into lots from (
      select unnest(array[parent_lot_id, child_lot_id]) as lot from new_rows limit most + 1
    ) named;
  elsif tg_op = 'UPDATE' then
    select array_agg(lot) into lots from (
      (select unnest(array[parent_lot_id, child_lot_id]) as lot from old_rows limit most + 1)
      union all
      (select unnest(array[parent_lot_id, child_lot_id]) from new_rows limit most + 1)
    ) named;
  elsif tg_op = 'DELETE' then
    select array_agg(lot) into lots from (
      select unnest(array[parent_lot_id, child_lot_id]) as lot from old_rows limit most + 1
    ) named;
  end if;
  if tg_op <> 'TRUNCATE' and lots is null then
    return null;
  elsif cardinality(lots) > most then
    lots := null;
  end if;
  insert into lotline.outbox (source, operation, lots) values ('lot_genealogy', tg_op, lots);
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
declare
  most constant int := 1000;
  lots uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(lot_id) into lots from (select lot_id from new_rows limit most + 1) named;
  elsif tg_op = 'UPDATE' then
    select array_agg(lot_id) into lots from (
      (select lot_id from old_rows limit most + 1)
      union all (select lot_id from new_rows limit most + 1)
    ) named;
  elsif tg_op = 'DELETE' then
    select array_agg(lot_id) into lots from (select lot_id from old_rows limit most + 1) named;
  end if;
  if tg_op <> 'TRUNCATE' and lots is null then
    return null;
  elsif cardinality(lots) > most then
    lots := null;
  end if;
  insert into lotline.outbox (source, operation, lots) values ('qc_decisions', tg_op, lots);
  return null;
exception when others then
  begin
    perform lotline.lose_change('qc_decisions', sqlerrm);
  exception when others then
    null;
  end;
  return null;
end $$;
