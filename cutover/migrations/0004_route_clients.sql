-- How much of a route's traffic was really moved: who answered its clients, and how many clients.
-- Locks: none on tables that exist, but for cutover_limits of the gateway, for some ms.
create table lotline.route_clients (
  operation text collate "C" not null,
  -- Who answered.
  side text collate "C" not null check (side in ('legacy', 'service')),
  -- The route's when the request came.
  epoch int not null,
  -- After 2 days: the day.
  minute timestamptz not null,
  requests bigint not null,
  -- One bit for each bucket of clients, set when a client of it was answered.
  buckets bit(10000) not null,
  primary key (operation, side, epoch, minute)
);
create index route_clients_minute on lotline.route_clients (minute);

-- The odds of the share that was moved may be so many times those of the step, or so many times less.
alter table lotline.cutover_limits add column share_factor float8 not null default 5
  check (share_factor between 1.5 and 1000000);
