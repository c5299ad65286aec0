-- When gateways ran, in which build, and what only the old server could respond to: without these a
-- report can't tell a quiet week from a week without a gateway.
-- Locks: none on tables that exist.

-- A row for each time in which a gateway process could store its evidence. A pause of over a minute
-- begins a new one.
create table lotline.gateway_runs (
  id uuid primary key,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  version text not null check (length(version) <= 100),
  -- Null: the process didn't know it.
  commit text check (length(commit) <= 100)
);

-- Requests that match no operation of the contract, and that the old server didn't refuse as unknown or
-- malformed. Redacted. The last kinds of a day share the path '(others)'.
create table lotline.unknown_requests (
  day date not null,
  method text collate "C" not null check (length(method) <= 100),
  path text collate "C" not null check (length(path) <= 4000),
  count bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (day, method, path)
);

-- A role that may work with the outcomes may work with these too.
do $$
declare
  granted record;
begin
  for granted in
    select privilege_type, grantee
    from pg_class, aclexplode(relacl)
    where oid = 'lotline.route_outcomes'::regclass and grantee <> relowner
  loop
    execute format('grant %s on lotline.gateway_runs, lotline.unknown_requests to %s',
      granted.privilege_type,
      case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end);
  end loop;
end $$;
