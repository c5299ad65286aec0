-- How often a job was claimed, whatever became of it: a job that is given back each time is seen, too.
-- Locks: access exclusive on lotline.jobs, for some ms: workers wait.
alter table lotline.jobs
  add column starts int not null default 0,
  -- When it was noted that its lease is about to end without a renewal. That this could be written
  -- means that its worker, if it lives, could write as well.
  add column silent_since timestamptz;
