-- The schema of the old server, so that Lotline can also start on an empty database. On a database
-- that has it, nothing here changes anything: a table that exists is left exactly as it is.
-- Locks: none on tables that exist.
create extension if not exists "uuid-ossp";

-- Even "if not exists" asks for the right to create in schema auth, which on a hosted database may
-- belong to the host alone.
do $$
begin
  if not exists (select from pg_tables where schemaname = 'auth' and tablename = 'users') then
    create schema if not exists auth;
    create table auth.users (
      id uuid primary key default uuid_generate_v4(),
      email text unique,
      encrypted_password text,
      created_at timestamptz default now()
    );
  end if;
end $$;

create table if not exists users (
  id uuid primary key references auth.users,
  email text not null,
  full_name text,
  role text default 'VIEWER' check (role in ('ADMIN', 'MANAGER', 'AUDITOR', 'OPERATOR', 'VIEWER')),
  created_at timestamptz default now(),
  last_login timestamptz
);

create table if not exists scenarios (
  id uuid primary key default uuid_generate_v4(),
  name jsonb not null,
  version text not null,
  config jsonb not null default '{}',
  i18n jsonb not null default '{}',
  is_active boolean default false,
  created_at timestamptz default now()
);

create table if not exists streams (
  id uuid primary key default uuid_generate_v4(),
  scenario_id uuid references scenarios on delete cascade,
  stream_key text not null,
  name jsonb not null,
  color text not null,
  sort_order int not null
);

create table if not exists qc_gates (
  id uuid primary key default uuid_generate_v4(),
  scenario_id uuid references scenarios on delete cascade,
  gate_number int not null,
  name jsonb not null,
  gate_type text check (gate_type in ('CHECKPOINT', 'BLOCKING', 'INFO')),
  is_ccp boolean default false,
  checklist jsonb not null default '[]'
);

create table if not exists phases (
  id uuid primary key default uuid_generate_v4(),
  scenario_id uuid references scenarios on delete cascade,
  stream_id uuid references streams,
  qc_gate_id uuid references qc_gates,
  phase_number int not null,
  name jsonb not null,
  description jsonb not null
);

create table if not exists production_runs (
  id uuid primary key default uuid_generate_v4(),
  run_code text unique not null,
  scenario_id uuid references scenarios,
  operator_id uuid references users,
  status text default 'ACTIVE' check (status in ('ACTIVE', 'COMPLETED', 'CANCELLED')),
  daily_target_kg numeric,
  started_at timestamptz default now(),
  ended_at timestamptz,
  summary jsonb
);

create table if not exists lots (
  id uuid primary key default uuid_generate_v4(),
  lot_code text unique not null,
  lot_type text check (lot_type in ('RAW', 'DEB', 'BULK', 'MIX', 'SKW', 'FRZ', 'FG')),
  production_run_id uuid references production_runs,
  phase_id uuid references phases,
  operator_id uuid references users,
  weight_kg numeric,
  temperature_c numeric,
  metadata jsonb default '{}',
  created_at timestamptz default now()
);

create table if not exists lot_genealogy (
  id uuid primary key default uuid_generate_v4(),
  parent_lot_id uuid references lots,
  child_lot_id uuid references lots,
  quantity_used_kg numeric,
  linked_at timestamptz default now()
);

create table if not exists qc_decisions (
  id uuid primary key default uuid_generate_v4(),
  lot_id uuid references lots,
  qc_gate_id uuid references qc_gates,
  operator_id uuid references users,
  decision text check (decision in ('PASS', 'HOLD', 'FAIL')),
  notes text,
  temperature_c numeric,
  digital_signature text,
  decided_at timestamptz default now()
);
