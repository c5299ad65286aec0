-- Which trace a change and a job belong to: W3C's traceparent of the request that caused them; of
-- several that shared a statement, with commas between. The triggers needn't know: the outbox's column
-- takes what the writer's transaction says, which is nothing for the old server and psql.
-- Locks: access exclusive on outbox, changed_lots and jobs, none on old tables. No row is rewritten.
alter table lotline.outbox add column traceparent text;
alter table lotline.outbox alter column traceparent
  set default nullif(current_setting('lotline.traceparent', true), '');

alter table lotline.changed_lots add column traceparent text;

alter table lotline.jobs add column traceparent text;
