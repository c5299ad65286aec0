-- The outbox gets a bound: without a worker it would grow for as long as somebody writes. Only the
-- triggers are there whenever it grows, so they hold it. At the bound a change is counted as lost
-- instead of being written down, and the next relay takes everything for changed: all that is gone is
-- the knowledge of what had not changed. It isn't logged: the log would grow instead.
-- Locks: none on tables that exist; writers that are at it finish with the functions they began with.

-- Bytes, with TOAST. It is the file that counts, not the rows: those that a relay has removed count
-- until a vacuum. That is 1.1 million changes of one lot; the index comes to a fifth of it.
create function lotline.outbox_limit() returns bigint
language sql immutable as $$ select 134217728::bigint $$;

-- 2: the outbox is at its bound. A sequence, since it is read in no time (asking for a file's size
-- takes 10 to 20 µs of system calls), and what one transaction finds holds for all at once.
create sequence lotline.outbox_gate;

-- Looks how large the outbox is, and opens or closes the gate.
create function lotline.measure_outbox() returns boolean
language plpgsql set search_path = '' as $$
declare
  is_full boolean := pg_table_size('lotline.outbox') >= lotline.outbox_limit();
begin
  if is_full is distinct from coalesce(pg_sequence_last_value('lotline.outbox_gate') = 2, false) then
    perform setval('lotline.outbox_gate', case when is_full then 2 else 1 end);
  end if;
  return is_full;
end $$;

-- Asked by every writer, of whom one in 32 looks; the bound may be passed by what they write between
-- two looks. Inlined where it is used, so it has no settings of its own.
create function lotline.outbox_is_full() returns boolean
language sql as $$
  select case when random() < 0.03125 then lotline.measure_outbox()
    else coalesce(pg_sequence_last_value('lotline.outbox_gate') = 2, false) end
$$;

-- What a writer does instead, at the bound.
create function lotline.leave_change_unwritten() returns void
language plpgsql set search_path = '' as $$
begin
  perform nextval('lotline.lost_changes');
end $$;

-- The functions of before with that question in front. To pay for it, inserts, which are nearly all
-- that the old server writes, make an array of a query, which takes less time than an aggregate.
create or replace function lotline.note_lots() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if lotline.outbox_is_full() then
    perform lotline.leave_change_unwritten();
  elsif tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'lots', 'INSERT', case when cardinality(ids) <= 1000 then ids end
    from (select array(select id from new_rows limit 1001) as ids offset 0) named
    where cardinality(ids) > 0;
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

create or replace function lotline.note_lot_genealogy() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if lotline.outbox_is_full() then
    perform lotline.leave_change_unwritten();
  elsif tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'lot_genealogy', 'INSERT', case when cardinality(ids) <= 2000 then ids end
    from (
      select array(select parent_lot_id from new_rows limit 1001)
        || array(select child_lot_id from new_rows limit 1001) as ids offset 0
    ) named
    where cardinality(ids) > 0;
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

create or replace function lotline.note_qc_decisions() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  if lotline.outbox_is_full() then
    perform lotline.leave_change_unwritten();
  elsif tg_op = 'INSERT' then
    insert into lotline.outbox (source, operation, lots)
    select 'qc_decisions', 'INSERT', case when cardinality(ids) <= 1000 then ids end
    from (select array(select lot_id from new_rows limit 1001) as ids offset 0) named
    where cardinality(ids) > 0;
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
