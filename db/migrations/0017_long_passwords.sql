-- Accounts whose password was typed with more than the 72 bytes that bcrypt reads: no login of theirs
-- is right in AUTH_MODE=required, and a hash doesn't tell how long its password is. Never a password
-- or anything of it. At most a row an account; no foreign key, as in 0004.
-- Locks: none on tables that exist.
create table lotline.long_passwords (
  user_id uuid primary key,
  typed_at timestamptz not null default now()
);
