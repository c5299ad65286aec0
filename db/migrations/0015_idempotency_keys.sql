-- What was answered to a request with an Idempotency-Key, in the transaction that did what was asked:
-- whoever sends it again is told the same, also when the first answer never arrived.
-- Locks: none on tables that exist.
create table lotline.idempotency_keys (
  -- The account; empty in AUTH_MODE=legacy, where a request is nobody's.
  caller text collate "C" not null,
  key text collate "C" not null check (length(key) between 1 and 255),
  -- SHA-256 of the operation and what was asked of it.
  request bytea not null check (length(request) = 32),
  -- The id of what was begun, where the answer is about that.
  effect uuid,
  -- What the answer is made from; null until it is known, or where there is nothing to it.
  -- Not jsonb: that would put the fields into another order.
  answer json,
  created_at timestamptz not null default now(),
  primary key (caller, key)
);

create index idempotency_keys_created_at on lotline.idempotency_keys (created_at);
