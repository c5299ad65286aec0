-- For those who watch: since when a change waits for a relay, and when a backup last ended.
-- Locks: access exclusive on lotline.outbox, for which writers to the old tables wait. The step waits
-- 50 ms for running writers, and has the lock for some ms: the change of a writer that waits for 100 ms
-- counts as lost.
set local lock_timeout = '50ms';
-- Null: written before this step.
alter table lotline.outbox add column written_at timestamptz;
alter table lotline.outbox alter column written_at set default clock_timestamp();

-- One row: only the newest counts.
create table lotline.backups (
  one boolean primary key default true check (one),
  ended_at timestamptz not null
);

grant select on lotline.backups to public;

-- Notes that a backup has just ended well, and returns when. The owner may do so, and a role that may
-- read all tables: both can make a backup.
create function lotline.note_backup() returns timestamptz
language sql security definer set search_path = '' as $$
  insert into lotline.backups (ended_at) values (clock_timestamp())
  on conflict (one) do update set ended_at = excluded.ended_at
  returning ended_at
$$;

revoke execute on function lotline.note_backup from public;
grant execute on function lotline.note_backup to pg_read_all_data;
