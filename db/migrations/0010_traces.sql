-- Deep traces and their results.
-- Locks: none on tables that exist.

-- A moment as every answer shows it (the old server's driver and JSON.stringify): UTC, milliseconds,
-- microseconds cut, infinity as null, years outside 0 to 9999 with a sign and six digits.
-- The odd years have a function of their own, since PostgreSQL puts an expression in a call's place
-- only where it holds no subquery: a call costs three times as much.
create function lotline.iso_far_moment(moment timestamptz) returns text
language sql stable parallel safe as $$
  -- PostgreSQL has no year 0: 1 BC is -1 here and 0 there.
  select case when year = 0 then '0000' when year < 0 then '-' || lpad((-year)::text, 6, '0')
    else '+' || lpad(year::text, 6, '0') end
    || to_char(moment at time zone 'UTC', '-MM-DD"T"HH24:MI:SS.MS"Z"')
  from (
    select extract(year from moment at time zone 'UTC')::int
      + case when moment < '0001-01-01 00:00:00+00' then 1 else 0 end as year
  ) iso
$$;

create function lotline.iso_moment(moment timestamptz) returns text
language sql stable parallel safe as $$
  select case
    when moment >= '0001-01-01 00:00:00+00' and moment < '10000-01-01 00:00:00+00'
      then to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    when isfinite(moment) then lotline.iso_far_moment(moment)
  end
$$;

create table lotline.traces (
  id uuid primary key default gen_random_uuid(),
  -- Null: it was answered at once.
  job_id uuid,
  lot_id uuid not null,
  lot_code text not null,
  direction text not null check (direction in ('upstream', 'downstream', 'both')),
  max_depth int,
  at_most int not null,
  requested_by uuid,
  created_at timestamptz not null default now(),
  -- Whose chunks are its result: the attempt that finished. Null: not done.
  run uuid,
  -- The moment that the result shows.
  as_of timestamptz,
  -- Which transactions the result shows. Until it is done: those that were over when it was asked for,
  -- which it will show at least.
  snapshot pg_snapshot not null default pg_current_snapshot(),
  -- What is no lot and no link: counts, cycles, totals, truncated, depth_reached.
  summary jsonb,
  -- A lot of the result, or a link at one, has changed since.
  out_of_date boolean not null default false
);

create index traces_created_at on lotline.traces (created_at);
create index traces_run on lotline.traces (run);
create index traces_unfinished on lotline.traces (created_at) where run is null;

-- The result in pieces: a lot or link a line, as JSON, in the order of the answer.
create table lotline.trace_chunks (
  run uuid not null,
  -- Lots come before links.
  number int not null,
  kind text not null check (kind in ('lots', 'links')),
  -- The place of its first line among all lines of its kind.
  first_line int not null,
  lines int not null,
  body text not null,
  -- The lots of the lines, where they are lots.
  lot_ids uuid[],
  written_at timestamptz not null default now(),
  primary key (run, number)
);

-- Compressing costs more time than writing it as it is.
alter table lotline.trace_chunks alter column body set storage external;

create index trace_chunks_lots on lotline.trace_chunks using gin (lot_ids);

-- Lots whose rows or links have changed, for marking traces that don't show it. By the transaction,
-- not by a time: a trace may be taken after a change and before it is noted here.
create table lotline.changed_lots (
  -- Null: any lot.
  lot_id uuid,
  xid xid8 not null,
  -- Done for all traces that were finished; a trace that was not may still need it.
  applied boolean not null default false,
  unique nulls not distinct (lot_id, xid)
);
