-- Evidence for moving a route: what both sides answered, what comparing them found, and by which
-- limits that is judged.
-- Locks: none on tables that exist.

-- Counts by a number or name, such as {"61": 12, "62": 3}, put together.
create function lotline.add_counts(one jsonb, other jsonb) returns jsonb
language sql immutable parallel safe as $$
  select coalesce(jsonb_object_agg(key, count), '{}') from (
    select key, sum(value::bigint) as count
    from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) both_
    group by key
  ) summed
$$;

create aggregate lotline.sum_counts(jsonb) (
  sfunc = lotline.add_counts, stype = jsonb, initcond = '{}'
);

-- What a side answered in a minute, by all gateways. A gateway asks a side for a client or to compare.
create table lotline.route_answers (
  operation text collate "C" not null,
  side text collate "C" not null check (side in ('legacy', 'service')),
  -- The route's when the request came.
  epoch int not null,
  -- After 30 days: the hour.
  minute timestamptz not null,
  requests bigint not null,
  -- Of them: with status 500 or above; without any answer.
  server_errors bigint not null,
  silences bigint not null,
  -- How many answers took how long: under n those that took about 1.05 ^ n ms.
  latencies jsonb not null,
  primary key (operation, side, epoch, minute)
);
create index route_answers_minute on lotline.route_answers (minute);

-- What became of the comparisons of a minute, by all gateways.
create table lotline.route_outcomes (
  operation text collate "C" not null,
  epoch int not null,
  minute timestamptz not null,
  outcome text collate "C" not null check (
    outcome in ('same', 'approved', 'raced', 'late', 'different', 'unanswered', 'lost')
  ),
  -- Empty: comparisons. An approval's id: how often it was needed; a comparison may need several.
  approval text collate "C" not null,
  count bigint not null,
  primary key (operation, epoch, minute, outcome, approval)
);
create index route_outcomes_minute on lotline.route_outcomes (minute);
-- One difference is enough to judge an epoch, however long ago it was.
create index route_outcomes_different on lotline.route_outcomes (operation, epoch)
  where outcome = 'different';

-- Which batch of its counts a gateway process has stored last, so that none counts twice.
create table lotline.evidence_collectors (
  id uuid primary key,
  batch bigint not null,
  stored_at timestamptz not null default now()
);

-- Comparisons that found differences, some of each kind; all of them are counted above. Redacted.
create table lotline.differences (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  operation text collate "C" not null,
  epoch int not null,
  mode text not null,
  outcome text not null,
  -- The same for differences of one kind: of one operation, at the same places, with the same statuses.
  fingerprint text collate "C" not null,
  -- {method, target, headers, body}, {status, headers, body, ms}; null: it wasn't kept.
  request jsonb,
  legacy jsonb,
  service jsonb,
  -- [{place, legacy, service}]
  differences jsonb not null
);
create index differences_fingerprint on lotline.differences (fingerprint, at);
create index differences_route on lotline.differences (operation, epoch, id);
create index differences_at on lotline.differences (at);

-- By which limits evidence is judged: the newest row counts, the others tell who changed what.
create table lotline.cutover_limits (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  who text not null check (btrim(who) <> '' and length(who) <= 100),
  why text not null check (btrim(why) <> '' and length(why) <= 500),
  window_seconds int not null check (window_seconds between 30 and 86400),
  min_samples int not null check (min_samples between 10 and 1000000),
  error_margin_percent float8 not null check (error_margin_percent between 0 and 100),
  latency_factor float8 not null check (latency_factor between 1 and 100),
  latency_slack_ms int not null check (latency_slack_ms between 0 and 60000),
  late_percent float8 not null check (late_percent between 0 and 100),
  silence_percent float8 not null check (silence_percent between 0 and 100)
);
insert into lotline.cutover_limits (
  who, why, window_seconds, min_samples, error_margin_percent, latency_factor, latency_slack_ms,
  late_percent, silence_percent
) values ('migrate', 'what Lotline begins with', 300, 200, 1, 2, 50, 1, 5);
