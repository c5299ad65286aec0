-- Recordings of live traffic: who wants one says so here, and each gateway puts there what it sees,
-- with personal data replaced.
-- Locks: none on tables that exist.
create table lotline.recordings (
  id uuid primary key default gen_random_uuid(),
  -- Whose answers to clients.
  side text not null check (side in ('legacy', 'service')),
  per_operation integer not null check (per_operation between 1 and 1000),
  started_at timestamptz not null default now(),
  until timestamptz not null check (until <= started_at + interval '1 hour')
);

create table lotline.recorded_exchanges (
  recording uuid not null references lotline.recordings on delete cascade,
  operation text collate "C" not null,
  -- From 1 to per_operation: several gateways that count at the same moment can't store more.
  slot integer not null check (slot between 1 and 1000),
  seen_at timestamptz not null,
  -- Request and answer as a file of recordings has them.
  exchange jsonb not null check (length(exchange::text) <= 400000),
  primary key (recording, operation, slot)
);
