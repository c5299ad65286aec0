-- A dry run is a write that Lotline rolls back: what the triggers can't note of it is not lost. Without
-- this, one that meets a locked or a full outbox would move the sequence, which a rollback doesn't undo.
-- Only Lotline's dry runs set "lotline.dry_run", each for its own transaction. It is looked at when
-- something has failed already, or at the outbox's bound, and costs other writers nothing.
-- Locks: none on tables that exist.
create or replace function lotline.lose_change(source text, reason text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  if current_setting('lotline.dry_run', true) = 'on' then
    return;
  end if;
  raise log 'lotline: a change of % was not written down: %', source, reason;
  perform nextval('lotline.lost_changes');
end $$;

create or replace function lotline.leave_change_unwritten() returns void
language plpgsql set search_path = '' as $$
begin
  if current_setting('lotline.dry_run', true) = 'on' then
    return;
  end if;
  perform nextval('lotline.lost_changes');
end $$;
