-- The gateway's routes: which server answers an operation, and how that came about.
-- Locks: none on tables that exist.
create table lotline.routes (
  operation text collate "C" primary key check (operation ~ '^[A-Za-z]{1,60}$'),
  mode text not null check (mode in ('legacy', 'shadow', 'canary', 'service')),
  -- The share of the clients that Lotline answers, in %.
  canary_percent smallint check (canary_percent between 1 and 99),
  -- Goes up with every change of the mode, and when the kill switch is released.
  epoch int not null check (epoch >= 1),
  -- How many of 100 requests are compared.
  sample_percent smallint not null default 100 check (sample_percent between 0 and 100),
  -- Why it was rolled back by itself; null: nothing holds it.
  latch text check (btrim(latch) <> '' and length(latch) <= 500),
  changed_at timestamptz not null default now(),
  constraint routes_canary_has_percent check ((mode = 'canary') = (canary_percent is not null)),
  constraint routes_latched_is_legacy check (latch is null or mode = 'legacy'),
  -- The old server knows these five alone: with nothing else there is anything to compare.
  constraint routes_comparable check (
    mode in ('legacy', 'service')
    or operation in ('getHealth', 'login', 'getTraceability', 'createLot', 'createQcDecision')
  )
);

-- One row: whether all routes are on legacy, whatever stands in lotline.routes.
create table lotline.kill_switch (
  single boolean primary key default true check (single),
  killed boolean not null,
  who text not null check (btrim(who) <> '' and length(who) <= 100),
  why text not null check (btrim(why) <> '' and length(why) <= 500),
  changed_at timestamptz not null default now()
);
insert into lotline.kill_switch (killed, who, why) values (false, 'migrate', 'never used');

-- What was changed, of the above. Nothing here is ever changed or deleted by Lotline: it is evidence.
create table lotline.route_changes (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  what text not null
    check (what in ('set', 'sample', 'rollback', 'clear', 'kill', 'release')),
  -- Null: all of them, by the kill switch. The routes that it moves have a row each besides.
  operation text collate "C",
  from_mode text,
  from_percent smallint,
  to_mode text,
  to_percent smallint,
  -- Null: not changed.
  from_sample smallint,
  to_sample smallint,
  -- The route's, after the change.
  epoch int,
  who text not null check (btrim(who) <> '' and length(who) <= 100),
  why text not null check (btrim(why) <> '' and length(why) <= 500),
  -- By the gateway itself, on the evidence.
  automatic boolean not null,
  check (operation is not null or what in ('kill', 'release')),
  check ((from_mode is null) = (operation is null)),
  check ((to_mode is null) = (operation is null)),
  check ((epoch is null) = (operation is null)),
  check ((from_mode is not distinct from 'canary') = (from_percent is not null)),
  check ((to_mode is not distinct from 'canary') = (to_percent is not null)),
  check ((from_sample is null) = (to_sample is null)),
  check (not automatic or what = 'rollback')
);
create index route_changes_operation on lotline.route_changes (operation, id);
