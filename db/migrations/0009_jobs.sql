-- The truth about background jobs; Valkey only carries their ids.
-- Locks: none on tables that exist.
create table lotline.jobs (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  arguments jsonb not null default '{}',
  -- 0: a person waits for it; 1: nobody does.
  priority smallint not null default 1 check (priority in (0, 1)),
  state text not null default 'ready'
    check (state in ('ready', 'running', 'done', 'dead', 'cancelled')),
  -- Not before.
  run_at timestamptz not null default now(),
  -- How often it was started, or is being.
  attempt int not null default 0,
  -- Of the attempt that runs, or that finished the job: only who knows it may finish the job.
  token uuid,
  worker text,
  lease_until timestamptz,
  unique_key text,
  progress jsonb,
  last_error text,
  cancel_requested boolean not null default false,
  -- When its id was last put on a list; null: it is to be put there.
  pushed_at timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);

-- Of the same work there is one job at a time.
create unique index jobs_unique on lotline.jobs (kind, unique_key)
  where unique_key is not null and state in ('ready', 'running');
create index jobs_ready on lotline.jobs (kind, priority, run_at) where state = 'ready';
create index jobs_unpushed on lotline.jobs (kind, priority, run_at)
  where state = 'ready' and pushed_at is null;
create index jobs_pushed on lotline.jobs (kind, priority, pushed_at)
  where state = 'ready' and pushed_at is not null;
create index jobs_running on lotline.jobs (lease_until) where state = 'running';
create index jobs_created_at on lotline.jobs (created_at);
create index jobs_over on lotline.jobs (finished_at) where state in ('done', 'dead', 'cancelled');

-- Which process's clock struck first: one run a slot, however many processes have the schedule.
create table lotline.cron_runs (
  name text not null,
  slot timestamptz not null,
  primary key (name, slot)
);
