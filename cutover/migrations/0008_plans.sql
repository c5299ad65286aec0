-- Plans: routes that move to Lotline step by step, carried out by a gateway or by a terminal.
-- Locks: none on tables that exist, but for a comment on lotline.routes, for some ms.
create table lotline.plans (
  id bigint generated always as identity primary key,
  -- In the order in which they are moved.
  operations text[] not null check (cardinality(operations) between 1 and 5),
  -- Their places among the old operations: two running plans never share one.
  places int4range not null check (not isempty(places)),
  -- Such as shadow,1,10,50,100.
  steps text not null check (steps ~ '^[a-z0-9,]+$' and length(steps) <= 300),
  soak_ms bigint not null check (soak_ms >= 0),
  samples int not null check (samples >= 1),
  patience_ms bigint not null check (patience_ms >= 0),
  -- It may leave legacy without any comparison.
  forced boolean not null,
  -- Carried out by a gateway; otherwise by the terminal that has started it.
  detached boolean not null,
  who text not null check (btrim(who) <> '' and length(who) <= 100),
  why text not null check (btrim(why) <> '' and length(why) <= 500),
  created_at timestamptz not null default now(),
  -- How far it is: the operation of `operations`, from 1; the epoch that it has found or made last, and
  -- since when.
  position int not null default 1 check (position >= 1),
  epoch int,
  since timestamptz not null default now(),
  -- What it does at the moment, in a sentence.
  progress text check (length(progress) <= 2000),
  -- The process that carries it out, for as long as it renews its lease.
  holder uuid,
  lease_until timestamptz,
  ended_at timestamptz,
  outcome text check (outcome in ('done', 'stopped')),
  end_why text check (length(end_why) <= 2000),
  -- The command that has to come before the same plan can go on.
  remedy text check (remedy in ('clear', 'release')),
  check ((holder is null) = (lease_until is null)),
  check ((ended_at is null) = (outcome is null)),
  constraint plans_one_for_a_route exclude using gist (places with &&) where (ended_at is null)
);
create index plans_running on lotline.plans (id) where ended_at is null;

comment on column lotline.routes.latch is
  'Why it was rolled back, by itself or by a person; null: nothing holds it';

-- A role that may change the routes may carry out plans.
do $$
declare
  granted record;
begin
  for granted in
    select distinct grantee
    from pg_class, aclexplode(relacl)
    where oid = 'lotline.routes'::regclass and grantee <> relowner
      and privilege_type = 'UPDATE'
  loop
    execute format('grant select, insert, update, delete on lotline.plans to %s',
      case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
  end loop;
end $$;
