-- What stored results take and whose keys there are, so that the oldest can go before they fill the
-- disk.
-- Locks: access exclusive on lotline.traces, lotline.audits and lotline.idempotency_keys for some ms,
-- then share while the indexes are built: Lotline waits to write to them.

-- What a result takes on the disk, about; null: it is not done.
alter table lotline.traces add column bytes bigint;

-- 60 bytes for what is stored and indexed of each lot besides its line; 16 kB for all else of a trace.
create function lotline.bytes_of_run(of_run uuid) returns bigint
language sql volatile as $$
  select 16384 + coalesce(
    sum(octet_length(body) + 60 * coalesce(cardinality(lot_ids), 0)), 0
  )::bigint
  from lotline.trace_chunks where run = of_run
$$;

update lotline.traces set bytes = lotline.bytes_of_run(run) where run is not null;

create index traces_stored on lotline.traces (as_of, id) include (bytes) where run is not null;
-- For what goes with the trace or audit that a key names.
create index idempotency_keys_effect on lotline.idempotency_keys (effect) where effect is not null;

-- Who asked for it, as in lotline.jobs; null: the schedule.
alter table lotline.audits add column account text;
update lotline.audits set account = requested_by::text where requested_by is not null;
create index audits_asked_for on lotline.audits (created_at) where account is not null;

-- Who sent it, as in lotline.jobs: in AUTH_MODE=legacy a key is everyone's, and still somebody's.
alter table lotline.idempotency_keys add column account text;
create index idempotency_keys_account on lotline.idempotency_keys (account, created_at);

create index revoked_tokens_user on lotline.revoked_tokens (user_id);
