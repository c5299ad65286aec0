-- How much of a route's traffic was really compared, why the rest was not, and by which limits that is
-- judged.
-- Locks: access exclusive on lotline.cutover_limits for some ms; none on old tables.

-- What is known of the exchanges of a minute besides their outcomes, by all gateways.
create table lotline.route_coverage (
  operation text collate "C" not null,
  epoch int not null,
  minute timestamptz not null,
  -- due: was to be compared. not_sampled: was left out by the route's share. success: both sides
  -- answered with 2xx, and alike. Anything else: why a comparison was lost or left unanswered.
  what text collate "C" not null check (what ~ '^[a-z_]{1,40}$'),
  count bigint not null,
  primary key (operation, epoch, minute, what)
);
create index route_coverage_minute on lotline.route_coverage (minute);

-- A role that may work with the outcomes may work with this too.
do $$
declare
  granted record;
begin
  for granted in
    select privilege_type, grantee
    from pg_class, aclexplode(relacl)
    where oid = 'lotline.route_outcomes'::regclass and grantee <> relowner
  loop
    execute format('grant %s on lotline.route_coverage to %s', granted.privilege_type,
      case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
  end loop;
end $$;

alter table lotline.cutover_limits
  add column lost_percent float8 not null default 5
    check (lost_percent between 0 and 100),
  add column raced_percent float8 not null default 20
    check (raced_percent between 0 and 100),
  add column min_successes int not null default 20
    check (min_successes between 0 and 1000000);
