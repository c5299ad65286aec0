-- What AUTH_MODE=required knows of accounts besides the old tables, which get no columns: who is
-- disabled, from when on an account's tokens count, and which tokens were logged out.
-- No foreign keys: they would lock tables in use now, and let a delete or truncate of the old
-- server's or an operator's fail later. A row whose user is gone refuses tokens, as it should.
-- Locks: none on tables that exist.
create table lotline.accounts (
  user_id uuid primary key,
  -- Null: not disabled.
  disabled_at timestamptz,
  -- Tokens issued before it are refused; null: none are.
  tokens_from timestamptz
);

create table lotline.revoked_tokens (
  token_id uuid primary key,
  user_id uuid not null,
  -- From then on the token refuses itself, and the row may go.
  expires_at timestamptz not null
);

create index revoked_tokens_expires_at on lotline.revoked_tokens (expires_at);
