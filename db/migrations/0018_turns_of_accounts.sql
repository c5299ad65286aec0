-- Who asked for a job, so that no account waits behind all jobs of another and each has a bound; and
-- which deep trace answers a question that is asked again.
-- Locks: access exclusive on lotline.jobs for some ms, then share while its indexes are built: workers
-- wait to write to it.

-- Null: nobody's, the clock's. In AUTH_MODE=legacy without a token it is the client's address.
alter table lotline.jobs add column account text;
-- Of a kind and priority the lowest is next: the first jobs of all accounts, then the second ones, …
alter table lotline.jobs add column turn bigint not null default 0;

create index jobs_turns on lotline.jobs (kind, priority, turn, run_at) where state = 'ready';
create index jobs_of_account on lotline.jobs (account, kind)
  where account is not null and state in ('ready', 'running');

create index traces_question on lotline.traces (lot_id, direction, at_most, created_at);

-- Where lotline.lost_changes stood when the relay last took everything for changed because of it.
create table lotline.noted_losses (
  losses bigint not null
);
insert into lotline.noted_losses values (0);

-- The turn of an account's next job.
create function lotline.next_turn(of_kind text, asking text) returns bigint
language sql volatile as $$
  select coalesce(
    (
      select max(turn) + 1 from lotline.jobs
      where account = asking and kind = of_kind and state = 'ready'
    ),
    (
      select turn from lotline.jobs
      where kind = of_kind and priority = 0 and state = 'ready' order by turn limit 1
    ),
    0
  )
$$;

-- A trace that answers a question as one would that is begun now; null: there is none.
-- One that waits does: it shows what is committed when it begins. It is another account's only if
-- it is taken no later than the asking account's own would be.
-- One that runs or is done does, for a minute, if no change is known that it may not show: neither in
-- the outbox, nor among the changes kept for traces, nor as one that couldn't be written down. A
-- minute, as in the trace cache, since triggers see nothing of a replication's writes.
-- Volatile, like its caller: each statement in it sees what is committed by then.
create function lotline.find_same_trace(
  of_lot uuid, of_code text, of_direction text, of_depth int, of_most int, asking text
) returns uuid
language sql volatile as $$
  select traces.id
  from lotline.traces left join lotline.jobs on jobs.id = traces.job_id
  where traces.lot_id = of_lot and traces.lot_code = of_code and traces.direction = of_direction
    and traces.max_depth is not distinct from of_depth and traces.at_most = of_most
    and not traces.out_of_date
    and (
      traces.run is null and jobs.state = 'ready' and not jobs.cancel_requested and (
        jobs.account is not distinct from asking
        or jobs.turn <= lotline.next_turn(jobs.kind, asking)
      )
      or (
        traces.run is not null and traces.as_of > now() - interval '1 minute'
        or traces.run is null and jobs.state = 'running' and not jobs.cancel_requested
          and jobs.started_at > now() - interval '1 minute'
      )
      and (select losses from lotline.noted_losses) =
        (select case when is_called then last_value else 0 end from lotline.lost_changes)
      and not exists (
        select from (
          select lots, row_number() over () as number
          from (
            (
              select lots from lotline.outbox
              where xid >= pg_snapshot_xmin(traces.snapshot)
                and not pg_visible_in_snapshot(xid, traces.snapshot)
                and source <> 'qc_decisions' and (source, operation) <> ('lots', 'INSERT')
              limit 21
            )
            union all
            (
              select case when lot_id is not null then array[lot_id] end from lotline.changed_lots
              where not pg_visible_in_snapshot(xid, traces.snapshot)
              limit 101
            )
          ) unshown
        ) change
        -- Which lots a trace has is known when it is done. Of many changes one concerns it, perhaps.
        where traces.run is null or change.lots is null or change.number > 20 or exists (
          select from lotline.trace_chunks
          where trace_chunks.run = traces.run and trace_chunks.lot_ids && change.lots
        )
      )
    )
  order by traces.run is not null desc, traces.created_at desc limit 1
$$;

-- What becomes of a trace that is to wait for a worker: another one that answers its question, or its
-- turn, with how many jobs of the kind its account has by now and how many wait in all.
-- Two that ask at once come one after the other until their transactions end, and each of them sees
-- what the one before has stored.
create function lotline.place_of_trace(
  asked uuid, asking text, out same uuid, out turn bigint, out mine bigint, out waiting bigint
)
language plpgsql volatile as $$
declare
  question lotline.traces;
begin
  select * into question from lotline.traces where id = asked;
  perform pg_advisory_xact_lock(hashtextextended(
    format('lotline trace %s %s %s %s', question.lot_id, question.direction, question.max_depth,
      question.at_most), 0
  ));
  perform pg_advisory_xact_lock(hashtextextended('lotline account ' || asking, 0));
  same := lotline.find_same_trace(question.lot_id, question.lot_code, question.direction,
    question.max_depth, question.at_most, asking);
  turn := lotline.next_turn('deep_trace', asking);
  select count(*) into mine from lotline.jobs
  where account = asking and kind = 'deep_trace' and state in ('ready', 'running');
  select count(*) into waiting from (
    select from lotline.jobs where kind = 'deep_trace' and state = 'ready' limit 10000
  ) ready;
end $$;
