-- Which database this is, so that one that was restored is recognised. A dump is restored into other
-- tables, whose numbers (oids) differ from the dumped ones; so do those of old tables that somebody
-- restores by themselves. The row is written when a worker looks for the first time.
-- Locks: none on tables that exist.
create table lotline.known_database (
  one boolean primary key default true check (one),
  -- PostgreSQL's system identifier; null: it isn't shown to the user.
  cluster text,
  database oid not null,
  -- Of this table, lots, lot_genealogy and qc_decisions.
  tables oid[] not null,
  -- When a restore was last noticed; null: never.
  restored_at timestamptz,
  -- When `deno task restored` last ran; null: never.
  settled_at timestamptz
);

grant select on lotline.known_database to public;

-- What the row says when nothing was restored since.
create function lotline.this_database(out cluster text, out database oid, out tables oid[])
language plpgsql stable as $$
begin
  database := (select oid from pg_database where datname = current_database());
  tables := array[
    'lotline.known_database'::regclass, to_regclass('lots'), to_regclass('lot_genealogy'),
    to_regclass('qc_decisions')
  ]::oid[];
  begin
    cluster := (select system_identifier::text from pg_control_system());
  exception when others then
    cluster := null;
  end;
end $$;

-- A role that may relay changes may note a restore.
do $$
declare
  granted record;
begin
  for granted in
    select distinct grantee
    from pg_class, aclexplode(relacl)
    where oid = 'lotline.outbox'::regclass and grantee <> relowner and privilege_type = 'DELETE'
  loop
    execute format('grant insert, update on lotline.known_database to %s',
      case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
  end loop;
end $$;
