-- So that dead jobs can be counted at each scrape of /metrics, without reading all that are done.
-- Locks: share on lotline.jobs, for some ms: workers wait to write to it.
create index jobs_dead on lotline.jobs (kind) where state = 'dead';
