-- Genealogy audits and what they found.
-- Locks: none on tables that exist.
create table lotline.audits (
  id uuid primary key default gen_random_uuid(),
  job_id uuid not null unique,
  -- Null: the schedule's.
  requested_by uuid,
  created_at timestamptz not null default now(),
  -- Whose findings are its result: the attempt that finished. Null: not done.
  run uuid,
  finished_at timestamptz,
  -- The moment that the result shows.
  as_of timestamptz,
  -- The audit that this one was compared with.
  compared_with uuid,
  -- Counts: of lots, links, and of findings by kind and standing.
  summary jsonb
);

create index audits_created_at on lotline.audits (created_at);

-- A number of a finding as text. PostgreSQL keeps thousands of digits, answers are to stay readable.
create function lotline.short_decimal(value numeric) returns text
language sql immutable parallel safe as $$
  select case when length(value::text) <= 40 then value::text
    else ltrim(to_char(value, '9.99999EEEE')) end
$$;

create table lotline.audit_findings (
  run uuid not null,
  kind text collate "C" not null,
  -- What makes it the same finding in another audit: a lot's id, a link's, a digest of a cycle.
  subject uuid not null,
  severity text not null check (severity in ('critical', 'major', 'minor')),
  -- Unknown: the audit before had more of the kind than it kept.
  standing text not null check (standing in ('new', 'still_there', 'gone', 'unknown')),
  lot_ids uuid[] not null,
  lot_codes text[] not null,
  numbers jsonb not null,
  written_at timestamptz not null default now(),
  primary key (run, kind, subject)
);
