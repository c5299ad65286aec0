-- Whoever writes to qc_decisions, the old server and psql included, leaves a row in lotline.outbox.
-- Locks: share row exclusive on qc_decisions: waits for transactions that write to it, and is held for
-- some ms, in which others wait to write. Reading goes on.
create trigger lotline_note_insert after insert on qc_decisions
  referencing new table as new_rows
  for each statement execute function lotline.note_qc_decisions();
create trigger lotline_note_update after update on qc_decisions
  referencing old table as old_rows new table as new_rows
  for each statement execute function lotline.note_qc_decisions();
create trigger lotline_note_delete after delete on qc_decisions
  referencing old table as old_rows
  for each statement execute function lotline.note_qc_decisions();
create trigger lotline_note_truncate after truncate on qc_decisions
  for each statement execute function lotline.note_qc_decisions();
