-- Which processes run, and how far their clocks are from PostgreSQL's: `deno task doctor` reads it.
-- Unlogged, since each process writes its row every 2 s: after a crash of PostgreSQL, or on a promoted
-- standby, it is empty for as long.
-- Locks: none on tables that exist.
create unlogged table lotline.processes (
  id uuid primary key,
  kind text not null check (length(kind) <= 20),
  -- As PostgreSQL sees it; null: a process that uses a unix socket.
  client inet,
  started_at timestamptz not null,
  seen_at timestamptz not null,
  -- How far the process's clock is ahead of PostgreSQL's, and the error of that, in ms; null: not
  -- measured yet.
  clock_ahead_ms float8,
  clock_error_ms float8,
  -- Its TIME_ZONE; null: not set.
  time_zone text check (length(time_zone) <= 100),
  -- Of its code; null: not known yet.
  version text check (length(version) <= 100),
  -- The most connections of its pools, and whether they lead to a pooler; null: not known yet.
  connections integer check (connections >= 0),
  is_pooled boolean
) with (fillfactor = 50);

grant select on lotline.processes to public;

-- Notes that a process runs, and returns PostgreSQL's time in ms since 1970. "security definer": a
-- process writes no other row than its own. There are 1,000 rows at most: a new one takes the place of
-- the one that was seen longest ago. It waits for no lock: the next note comes 2 s later.
create function lotline.note_process(
  process uuid,
  process_kind text,
  process_version text,
  zone text,
  pool integer,
  pooled boolean,
  ahead_ms float8,
  error_ms float8
) returns float8
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
begin
  update lotline.processes
  set seen_at = clock_timestamp(), clock_ahead_ms = ahead_ms, clock_error_ms = error_ms,
    version = process_version, is_pooled = pooled
  where id = process;
  if not found then
    delete from lotline.processes
    where id in (
      select id from lotline.processes order by seen_at desc offset 999 for update skip locked
    );
    insert into lotline.processes (
      id, kind, client, started_at, seen_at, time_zone, version, connections, is_pooled
    ) values (
      process, process_kind, inet_client_addr(), clock_timestamp(), clock_timestamp(), zone,
      process_version, pool, pooled
    );
  end if;
  return extract(epoch from clock_timestamp()) * 1000;
end $$;
