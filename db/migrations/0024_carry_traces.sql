-- Which trace a change and a job belong to: W3C's traceparent of the request that caused them; of
-- several that shared a statement, with commas between. The triggers needn't know: the outbox's column
-- takes what the writer's transaction says, which is nothing for the old server and psql.
-- Locks: access exclusive on jobs, changed_lots and outbox. Writers to the old tables wait for the last,
-- as for step 0023: the step waits 50 ms for running writers, and has the lock for some ms. No row is
-- rewritten.
alter table lotline.jobs add column traceparent text;
alter table lotline.changed_lots add column traceparent text;

set local lock_timeout = '50ms';
alter table lotline.outbox add column traceparent text;
alter table lotline.outbox alter column traceparent
  set default nullif(current_setting('lotline.traceparent', true), '');
